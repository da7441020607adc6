"""How the client of the conformance suites comes by a token, in the scenarios that want one: by the SDK's own providers.

A token is for the server, whatever stands before it (RFC 8707). So the provider knows the server by its own address, and the
transport alone has the proxy's.
"""

import json
import os
from urllib.parse import parse_qs, urlparse

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

CALLBACK = "http://localhost:3000/callback"
METADATA_URL = "https://conformance-test.local/client-metadata.json"


class Storage:
    """Keeps what it is given, as long as the process lives."""

    def __init__(self, client_info=None):
        self.tokens, self.client_info = None, client_info

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


class Person:
    """Whoever would sign in: the suite's server sends them back at once."""

    async def go(self, url):
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url, follow_redirects=False)
        self.came_back = parse_qs(urlparse(answer.headers["location"]).query)

    async def come_back(self):
        first = {name: values[0] for name, values in self.came_back.items()}
        return AuthorizationCodeResult(code=first["code"], state=first.get("state"), iss=first.get("iss"))


def provider(server):
    """What gets tokens for a server."""
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    if scenario == "auth/client-credentials-basic":
        return ClientCredentialsOAuthProvider(server, Storage(), context["client_id"], context["client_secret"])
    metadata = OAuthClientMetadata(
        client_name="a test", redirect_uris=[CALLBACK], grant_types=["authorization_code", "refresh_token"], response_types=["code"]
    )
    known = None
    if "client_id" in context:
        known = OAuthClientInformationFull(
            client_id=context["client_id"], client_secret=context.get("client_secret"), redirect_uris=[CALLBACK],
            token_endpoint_auth_method="client_secret_basic",
        )
    person = Person()
    return OAuthClientProvider(server, metadata, Storage(known), person.go, person.come_back, client_metadata_url=METADATA_URL)


def transport(server, reached_at):
    """The way to a server, with tokens that are for it."""
    return streamable_http_client(reached_at, http_client=create_mcp_http_client(auth=provider(server)))
