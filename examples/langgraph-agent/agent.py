"""An agent of LangChain with two tools, of which it may use one on everything and the other on one account."""

import dragons
from dragons.langchain import GovernedTools
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool

ledger = {"rent": 700, "payroll": 9000}


@tool
def look(account: str) -> int:
    """The total of an account."""
    return ledger[account]


@tool
def book(account: str, amount: int) -> str:
    """Adds an amount to an account."""
    ledger[account] += amount
    return f"{account} is {ledger[account]} now"


class ScriptedModel(GenericFakeChatModel):
    """Says what it was given to say. A real one goes in its place: `create_agent("openai:gpt-5", …)`."""

    def bind_tools(self, tools, **options):
        return self


def call(tool_name, number, **arguments):
    return {"name": tool_name, "args": arguments, "id": f"call-{number}", "type": "tool_call"}


script = [
    AIMessage("", tool_calls=[call("look", 1, account="rent"), call("look", 2, account="payroll")]),
    AIMessage("", tool_calls=[call("book", 3, account="rent", amount=50), call("book", 4, account="payroll", amount=-9000)]),
    AIMessage("I booked the rent; the payroll I may not touch."),
]
scopes = {"look": "read:ledger/{account}", "book": "write:ledger/{account}"}
agent = create_agent(ScriptedModel(messages=iter(script)), [look, book], middleware=[GovernedTools(scopes)])

with dragons.goal("book the rent"):
    state = agent.invoke({"messages": [("user", "Add 50 to the rent, and clear the payroll.")]})
for message in state["messages"]:
    if isinstance(message, ToolMessage):
        print(f"{message.name}: {message.status}: {message.content}")
print(state["messages"][-1].content)
assert ledger == {"rent": 750, "payroll": 9000}
