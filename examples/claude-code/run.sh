#!/usr/bin/env bash
# Claude Code under hooks. With ANTHROPIC_API_KEY and the program `claude` it is a real session; else the events that a real session
# sent (Claude Code 2.1.332) go to the same hook, in their order.
source "$(dirname "$0")/../log.sh"
begin
become coder "$here" run:cat 'read:**'
attend

project="$folder/project"
mkdir "$project"
echo hi >"$project/a.txt"
dragons hook install claude-code --project "$project" --enforce >"$folder/install.log"

if [[ -n "${ANTHROPIC_API_KEY:-}" ]] && command -v claude >/dev/null; then
  (cd "$project" && claude -p 'Show a.txt with cat, then make the file forbidden.txt.' --permission-mode bypassPermissions)
else
  while read -r event; do
    name="$(sed 's/.*"hook_event_name":"\([A-Za-z]*\)".*/\1/' <<<"$event")"
    code=0
    # Exit status 2 before a tool means that Claude does not run it.
    dragons hook claude-code --event "$name" --enforce <<<"${event//PROJECT/$project}" || code="$?"
    echo "$name: $code"
  done <events.jsonl
fi
[[ ! -e "$project/forbidden.txt" ]]
leave
verify
