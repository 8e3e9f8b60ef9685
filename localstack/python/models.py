"""Writes what AWS's model of a service says of its requests, for the gateway.

    models.py SERVICE FILE

botocore's models are megabytes of documentation and responses. The gateway reads the result instead, in which a line is
an operation: its name, HTTP method and path, and its input as JSON, separated by tabs. A service without a model has no
lines.
"""

import json
import os
import re
import sys

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

# How a member is sent. botocore reads these from the reference first, then from the shape.
TRAITS = {
    "location": "in",
    "locationName": "name",
    "queryName": "query",
    "flattened": "flat",
    "xmlAttribute": "attribute",
}

# What a value must be.
CONSTRAINTS = ("enum", "min", "max", "pattern", "required", "payload", "document", "jsonvalue")

# Java's classes are ASCII, and its POSIX classes have other names.
CLASSES = {
    "d": "0-9",
    "w": "a-zA-Z0-9_",
    "s": " \\t\\n\\x0B\\x0C\\r",
}
POSIX = {
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "ASCII": "\\x00-\\x7F",
    "Digit": "0-9",
    "Graph": "\\x21-\\x7E",
    "Lower": "a-z",
    "Print": "\\x20-\\x7E",
    "Punct": "!-/:-@\\[-`{-~",
    "Space": " \\t\\n\\x0B\\x0C\\r",
    "Upper": "A-Z",
    "XDigit": "0-9a-fA-F",
}

# More repetitions than this make an expression too large; most such members have a maximal length as well.
REPETITIONS = 256

SURROGATES = re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", re.IGNORECASE)


def translate(pattern):
    """A Java regular expression in the syntax of Rust's `regex`, which has no surrogates and no lookaround."""
    pattern = SURROGATES.sub(r"\\x{10000}-\\x{10FFFF}", pattern)
    result, inside, index = [], False, 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            name = re.match(r"\\p\{(\w+)\}", pattern[index:])
            following = pattern[index + 1 : index + 2]
            if name:
                chars = POSIX.get(name[1].removeprefix("Is"))
                result.append(name[0] if chars is None else chars if inside else f"[{chars}]")
                index += len(name[0])
                continue
            if following in CLASSES:
                result.append(CLASSES[following] if inside else f"[{CLASSES[following]}]")
            elif following.lower() in CLASSES:
                result.append(f"[^{CLASSES[following.lower()]}]")
            elif following in "<>":
                result.append(following)
            else:
                result.append(char + following)
            index += 2
            # After a class, a hyphen is a character.
            if inside and following.lower() in CLASSES and pattern[index : index + 1] == "-":
                result.append("\\-")
                index += 1
            continue
        if inside:
            if char == "]":
                inside = False
            elif char in "[&~":
                char = "\\" + char
        elif char == "[":
            inside = True
            # A bracket in the first place is a character.
            negated = pattern[index + 1 : index + 2] == "^"
            char += "^" * negated
            index += negated
        elif char == "{":
            counts = re.match(r"\{(\d*)(,?)(\d*)\}", pattern[index:])
            if counts:
                least, comma, most = counts.groups()
                bounded = not comma or int(most or 0) <= REPETITIONS
                char = counts[0] if bounded and int(least or 0) <= REPETITIONS else f"{{{min(int(least or 0), 1)},}}"
                index += len(counts[0]) - 1
        result.append(char)
        index += 1
    return "".join(result)


class Input:
    """The shapes of one operation's input, in order of discovery; the first is the input itself."""

    def __init__(self, shapes):
        self.all = shapes
        self.indices = {}
        self.shapes = []

    def index(self, name):
        if name in self.indices:
            return self.indices[name]
        index = self.indices[name] = len(self.shapes)
        shape = self.all[name]
        found = {"type": shape["type"]}
        self.shapes.append(found)
        found |= {key: shape[key] for key in CONSTRAINTS if key in shape}
        if "pattern" in found:
            found["regex"] = translate(found["pattern"])
        if "members" in shape:
            found["members"] = {name: self.reference(member) for name, member in shape["members"].items()}
        for part in ("member", "key", "value"):
            if part in shape:
                found[part] = self.reference(shape[part])
        return index

    def reference(self, reference):
        shape = self.all[reference["shape"]]
        found = {"shape": self.index(reference["shape"])}
        for trait, name in TRAITS.items():
            value = reference.get(trait, shape.get(trait))
            if value is not None:
                found[name] = value
        if reference.get("jsonvalue"):
            found["in"] = "opaque"
        return found


def lines(model):
    for name, operation in sorted(model["operations"].items()):
        http = operation.get("http", {})
        shapes = Input(model["shapes"])
        if "input" in operation:
            shapes.index(operation["input"]["shape"])
        text = json.dumps(shapes.shapes, separators=(",", ":"))
        yield f"{name}\t{http.get('method', 'POST')}\t{http.get('requestUri', '/')}\t{text}\n"


def main():
    service, path = sys.argv[1:]
    try:
        model = Loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        model = {"operations": {}}
    unfinished = f"{path}.{os.getpid()}"
    with open(unfinished, "w") as file:
        file.writelines(lines(model))
    os.replace(unfinished, path)


if __name__ == "__main__":
    main()
