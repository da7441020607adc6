"""What the conformance suites ask of a server, with the Python SDK: conformance_server.py [PORT], over stdio without a port.

The tools of revision 2026-07-28 ask the client by results, those before by requests.
"""

import asyncio
import base64
import logging
import sys

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    AudioContent,
    CallToolResult,
    ElicitRequest,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

PNG = base64.b64encode(bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc00000030101001" "8dd8db00000000049454e44ae426082"
)).decode()
WAV = base64.b64encode(b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00@\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00").decode()

server = MCPServer("conformance", version="1")


def text(words):
    return TextContent(type="text", text=words)


def embedded(uri, words):
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type="text/plain", text=words))


@server.tool()
def test_simple_text() -> CallToolResult:
    """Gives a text."""
    return CallToolResult(content=[text("This is a simple text response for testing.")])


@server.tool()
def test_image_content() -> CallToolResult:
    """Gives an image."""
    return CallToolResult(content=[ImageContent(type="image", data=PNG, mime_type="image/png")])


@server.tool()
def test_audio_content() -> CallToolResult:
    """Gives a sound."""
    return CallToolResult(content=[AudioContent(type="audio", data=WAV, mime_type="audio/wav")])


@server.tool()
def test_embedded_resource() -> CallToolResult:
    """Gives a resource."""
    return CallToolResult(content=[embedded("test://embedded-resource", "This is an embedded resource content.")])


@server.tool()
def test_multiple_content_types() -> CallToolResult:
    """Gives several kinds of content."""
    image = ImageContent(type="image", data=PNG, mime_type="image/png")
    return CallToolResult(content=[text("Multiple content types test:"), image, embedded("test://mixed-content-resource", "{}")])


@server.tool()
def test_error_handling() -> CallToolResult:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@server.tool()
async def test_tool_with_logging(ctx: Context) -> CallToolResult:
    """Says what it does meanwhile."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(words)
        await asyncio.sleep(0.05)
    return CallToolResult(content=[text("done")])


@server.tool()
async def test_tool_with_progress(ctx: Context) -> CallToolResult:
    """Says how far it has got."""
    for step in (0, 50, 100):
        await ctx.report_progress(step, 100)
        await asyncio.sleep(0.05)
    return CallToolResult(content=[text("done")])


@server.tool()
async def test_sampling(prompt: str, ctx: Context) -> CallToolResult:
    """Asks the client's model."""
    asked = [SamplingMessage(role="user", content=text(prompt))]
    said = await ctx.session.create_message(messages=asked, max_tokens=100)
    return CallToolResult(content=[text(f"LLM response: {said.content.text}")])


class Answer(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = Field(default="John Doe")
    age: int = Field(default=30)
    score: float = Field(default=95.5)
    verified: bool = Field(default=True)


@server.tool()
async def test_elicitation(message: str, ctx: Context) -> CallToolResult:
    """Asks the client's user."""
    said = await ctx.elicit(message, Answer)
    return CallToolResult(content=[text(f"User response: {said.action}")])


@server.tool()
async def test_elicitation_sep1034_defaults(ctx: Context) -> CallToolResult:
    """Asks with answers that are given already."""
    said = await ctx.elicit("Please review", Defaults)
    return CallToolResult(content=[text(f"Elicitation completed: action={said.action}")])


@server.tool()
async def test_reconnection(ctx: Context) -> CallToolResult:
    """Closes its stream before it has answered."""
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return CallToolResult(content=[text("Reconnection test completed")])


def ask(message):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    return ElicitRequest(method="elicitation/create", params={"mode": "form", "message": message, "requestedSchema": schema})


@server.tool()
async def test_input_required_result_elicitation(ctx: Context) -> CallToolResult | InputRequiredResult:
    """Asks by its result."""
    if not (ctx.input_responses or {}).get("user_name"):
        return InputRequiredResult(input_requests={"user_name": ask("What is your name?")})
    return CallToolResult(content=[text("Hello")])


@server.tool()
async def test_input_required_result_request_state(ctx: Context) -> CallToolResult | InputRequiredResult:
    """Asks by its result, and gives the client a state to hand back."""
    if ctx.request_state is None:
        return InputRequiredResult(input_requests={"confirm": ask("Sure?")}, request_state="first")
    return CallToolResult(content=[text("state-ok")])


@server.tool()
async def test_input_required_result_multi_round(ctx: Context) -> CallToolResult | InputRequiredResult:
    """Asks twice."""
    if ctx.request_state is None:
        return InputRequiredResult(input_requests={"step1": ask("What is your name?")}, request_state="round 1")
    if ctx.request_state == "round 1":
        return InputRequiredResult(input_requests={"step2": ask("And your colour?")}, request_state="round 2")
    return CallToolResult(content=[text("done")])


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PNG)


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'


@server.prompt()
def test_simple_prompt() -> str:
    """A prompt."""
    return "This is a simple prompt for testing."


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


logging.disable()
if len(sys.argv) > 1:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run("stdio")
