#!/usr/bin/env bash
# Runs the agent with a lease that denies it one account. PYTHON is a Python with langchain; dragons-agent is the one here.
source "$(dirname "$0")/../log.sh"
export PYTHONPATH="$repository/sdk/python/src"
begin
become clerk "$here" run:python3 'run:@any/*' 'read:ledger/**' write:ledger/rent

run 'do what the user asks' --any-program -- "${PYTHON:-python3}" agent.py
verify
