"""What the emulators do differently from AWS and cannot be mended from outside; GAPS.md has the list with sources."""

import functools
import inspect


def replaces(owner):
    """Puts a function in the place of a method of the same name, which it gets first, and can call.

    All arguments arrive by name, however the emulator passes them.
    """

    def decorate(function):
        original = getattr(owner, function.__name__)
        signature = inspect.signature(original)

        @functools.wraps(original)
        def replacement(self, *positional, **named):
            bound = signature.bind(self, *positional, **named)
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            arguments.pop("self")
            return function(original, self, **arguments)

        setattr(owner, function.__name__, replacement)
        return function

    return decorate
