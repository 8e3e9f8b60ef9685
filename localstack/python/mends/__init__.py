"""Fixes inside the emulators for differences from AWS that the gateway cannot fix; GAPS.md lists them with sources."""

import functools
import inspect


def replaces(owner):
    """Replaces a method with a function of the same name, whose first argument is the original method.

    All other arguments are passed by name.
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
