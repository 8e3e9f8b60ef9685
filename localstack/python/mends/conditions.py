"""The conditions that the gateway sets, in a header of each request, and changes that take AWS's time.

Times are AWS's, in seconds; `latency` is the factor that `cargo local faults` sets. Without it, nothing takes time.
"""

import heapq
import itertools
import json
import re
import time

HEADER = "x-payinfra-conditions"


class Conditions:
    def __init__(self):
        self.header = None
        self.epoch = None
        self.latency = 0.0
        self.outages = []
        self.health = {}
        # The states of availability zones that are not available.
        self.zones = {}
        # Patterns of the names of certificates that were renewed.
        self.renewed = []
        self.observes = False
        # The zones that their parents delegate; all are if this is None.
        self.delegated = None
        # The functions with network interfaces, which another emulator runs.
        self.functions = []
        # Called after each step while the gateway observes.
        self.observers = []
        self.steps = []
        self.numbers = itertools.count()

    def begin(self, header):
        """Applies the conditions of a request, before it is handled."""
        if header and header != self.header:
            given = json.loads(header)
            self.header, self.latency = header, given["latency"]
            self.outages, self.health, self.observes = given["outages"], given["health"], given["observes"]
            self.zones, self.renewed = given["zones"], given["renewed"]
            self.delegated, self.functions = given["delegated"], given["functions"]
            if given["epoch"] != self.epoch:
                # The factor was set, which completes all changes.
                self.epoch = given["epoch"]
                self.steps = [(0.0, number, step) for _, number, step in sorted(self.steps)]
        self.advance()

    def later(self, seconds, step, at_least=0.0):
        """Calls a function after this time, or after the current request if there is no latency.

        `at_least`, in real seconds, is for steps that repeat themselves.
        """
        due = time.monotonic() + max(seconds * self.latency, at_least)
        heapq.heappush(self.steps, (due, next(self.numbers), step))

    def advance(self):
        """Makes the changes whose time has come."""
        while self.steps and self.steps[0][0] <= time.monotonic():
            heapq.heappop(self.steps)[2]()
            for observer in self.observers if self.observes else ():
                observer()

    def is_down(self, region):
        """Whether a region does not respond."""
        return region in self.outages

    def is_healthy(self, *names):
        """Whether the gateway says that something with these names is healthy; `None` if it says nothing."""
        set_to = [healthy for pattern, healthy in self.health.items() if any(matches(pattern, name) for name in names)]
        return all(set_to) if set_to else None

    def is_renewed(self, name):
        """Whether AWS has renewed the certificate of a name."""
        return any(matches(pattern, name) for pattern in self.renewed)


def matches(pattern, name):
    """Whether a name matches a pattern, in which `*` stands for any text."""
    return bool(name) and re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


CONDITIONS = Conditions()
later = CONDITIONS.later
