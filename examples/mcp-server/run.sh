#!/usr/bin/env bash
# The client starts the proxy in the place of the server, which is the one line of its configuration that changes.
source "$(dirname "$0")/../log.sh"
begin
become desk "$here" call:ledger/look

python3 client.py dragons mcp --name ledger --agent desk --dir . --key "$key" --trust "$trust" -- python3 server.py
verify
