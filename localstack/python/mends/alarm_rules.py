"""The rules of composite alarms: API reference, PutCompositeAlarm, AlarmRule."""

import re

# The state, and the name or ARN, in quotes or without.
STATE = r'(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"((?:\\.|[^"\\])*)"|([^()"]+?))\s*\)'
TOKEN = re.compile(rf"\s*((?:AND|OR|NOT|TRUE|FALSE)\b|{STATE}|[()])")


def tokens(rule):
    position, found = 0, []
    while rule[position:].strip():
        token = TOKEN.match(rule, position)
        if token is None:
            raise ValueError(f"Invalid alarm rule at {rule[position:]!r}")
        found.append(token.group(1))
        position = token.end()
    return found


def evaluate(rule, state_of):
    """Whether a rule is true; `state_of` returns the state of the alarm with a name or ARN."""
    left = tokens(rule)

    def take(*wanted):
        return bool(left) and left[0] in wanted and bool(left.pop(0))

    def either():
        value = both()
        while take("OR"):
            # Both sides have to be read.
            value = both() or value
        return value

    def both():
        value = single()
        while take("AND"):
            value = single() and value
        return value

    def single():
        if take("NOT"):
            return not single()
        if take("("):
            value = either()
            if not take(")"):
                raise ValueError("Invalid alarm rule: `)` is missing")
            return value
        if take("TRUE"):
            return True
        if take("FALSE"):
            return False
        leaf = re.fullmatch(STATE, left.pop(0)) if left else None
        if leaf is None:
            raise ValueError("Invalid alarm rule: a state is missing")
        state, quoted, plain = leaf.groups()
        return state_of(plain or re.sub(r"\\(.)", r"\1", quoted)) == state

    value = either()
    if left:
        raise ValueError(f"Invalid alarm rule at {left[0]!r}")
    return value
