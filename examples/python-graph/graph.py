#!/usr/bin/env python3
"""Writes a graph for payinfra: a VPC with a subnet per zone, a bucket, and a role that may read the bucket.

python3 graph.py > graph.json; `payinfra schema --graph` describes the format.
"""
import json

STACK, WORKSPACE, REGION = "python", "demo", "us-east-1"
TAGS = {"Project": "python-graph"}
nodes = {}


def add(kind, name, args, region=REGION, **options):
    """Declares a resource, and returns a function that refers to its outputs."""
    address = f"{region}/{kind}/{name}"
    nodes[address] = {"args": args, **options}
    return lambda output="id": {"$ref": f"{address}#{output}"}


def tags(name):
    return {**TAGS, "Name": name}


def text(*parts):
    """A string with references in it."""
    return {"$text": list(parts)}


zones = add("ec2.zones", "zones", {"count": 2}, lookup=True)
vpc = add("ec2.vpc", "main", {"cidr": "10.9.0.0/16", "dns_support": True, "dns_hostnames": True, "tags": tags("main")})
for index in range(2):
    add("ec2.subnet", f"private-{index}", {
        "vpc": vpc(), "cidr": f"10.9.{index}.0/24", "zone": zones(f"names/{index}"), "public": False,
        "tags": tags(f"private-{index}"),
    })
bucket = add("s3.bucket", "reports", {
    "name": f"{STACK}-{WORKSPACE}-reports", "versioning": True, "public_access_blocked": True,
    "lifecycle": {}, "ownership_enforced": True, "tags": tags("reports"),
})
trust = {"sid": "Assume", "effect": "Allow", "principals": {"Service": ["lambda.amazonaws.com"]},
         "actions": ["sts:AssumeRole"], "resources": [], "conditions": {}}
read = {"sid": "Read", "effect": "Allow", "principals": {}, "actions": ["s3:GetObject"],
        "resources": [text(bucket("arn"), "/*")], "conditions": {}}
role = add("iam.role", "reader", {
    "name": f"{STACK}-{WORKSPACE}-reader", "description": "Reads the reports", "path": "/", "max_session": 3600,
    "trust": [trust], "inline": {"read": [read]}, "managed": [], "tags": tags("reader"),
}, region="global")

print(json.dumps({
    "format": 1, "stack": STACK, "workspace": WORKSPACE, "tags": TAGS, "nodes": nodes,
    "outputs": {"reader": text(role("arn")), "reports": text("s3://", bucket(), "/")},
}, indent=2))
