"""Writes what AWS's model of a service says of its requests, for the gateway.

    models.py SERVICE FILE

botocore's models are megabytes of documentation and responses. The gateway reads the result instead, in which a line is
an operation: its name, HTTP method and path, its input, and how its response is paged, both as JSON, separated by tabs. A
service without a model has no lines.
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


def sent_as(reference, shapes, name):
    """The name of a member in requests and responses."""
    return reference.get("locationName", shapes[reference["shape"]].get("locationName", name))


def paging(model, name, paginator):
    """How an operation's responses are paged: parameters, and members of the response; `None` if they are not.

    Operations whose token has several parts, and those that page data rather than resources, are not.
    """
    results = paginator.get("result_key")
    results = results if isinstance(results, list) else [results]
    tokens = [paginator.get("input_token"), paginator.get("output_token")]
    if not all(isinstance(key, str) and re.fullmatch(r"\w+", key) for key in [*results, *tokens]):
        return None
    operation, shapes = model["operations"][name], model["shapes"]
    given = shapes[operation["input"]["shape"]]["members"]
    answered = shapes[operation["output"]["shape"]]["members"]
    limit = paginator.get("limit_key")
    lists = [shapes[answered[result]["shape"]] for result in results if result in answered]
    if len(lists) < len(results) or not all(found["type"] == "list" and not found.get("flattened") for found in lists):
        return None
    is_query = model["metadata"]["protocol"] in ("ec2", "query")

    def parameter(key):
        name = sent_as(given[key], shapes, key)
        return given[key].get("queryName", name[:1].upper() + name[1:] if is_query else name)

    more = paginator.get("more_results")
    return {
        "wrapper": operation["output"].get("resultWrapper"),
        "token": parameter(tokens[0]),
        "limit": limit and parameter(limit),
        "most": limit and shapes[given[limit]["shape"]].get("max"),
        "next": sent_as(answered[tokens[1]], shapes, tokens[1]),
        "items": [sent_as(answered[result], shapes, result) for result in results],
        "more": more and sent_as(answered[more], shapes, more),
    }


def lines(model, paginators):
    for name, operation in sorted(model["operations"].items()):
        http = operation.get("http", {})
        shapes = Input(model["shapes"])
        if "input" in operation:
            shapes.index(operation["input"]["shape"])
        text = json.dumps(shapes.shapes, separators=(",", ":"))
        pages = json.dumps(paging(model, name, paginators.get(name, {})), separators=(",", ":"))
        yield f"{name}\t{http.get('method', 'POST')}\t{http.get('requestUri', '/')}\t{text}\t{pages}\n"


def main():
    service, path = sys.argv[1:]
    try:
        model = Loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        model = {"operations": {}}
    try:
        paginators = Loader().load_service_model(service, "paginators-1")["pagination"]
    except UnknownServiceError:
        paginators = {}
    unfinished = f"{path}.{os.getpid()}"
    with open(unfinished, "w") as file:
        file.writelines(lines(model, paginators))
    os.replace(unfinished, path)


if __name__ == "__main__":
    main()
