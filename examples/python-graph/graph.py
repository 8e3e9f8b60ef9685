#!/usr/bin/env python3
"""Writes a graph for payinfra: a VPC with a subnet per zone, an encrypted bucket, and a role that may read the bucket.

python3 graph.py ACCOUNT > graph.json; `payinfra schema --graph` describes the format. See payinfra.toml.
"""
import json
import sys

STACK, WORKSPACE, SUFFIX, REGION = "python-graph", "demo", "py1", "us-east-1"
ACCOUNT = sys.argv[1] if len(sys.argv) > 1 else "000000000000"
TAGS = {"Environment": "demo", "ManagedBy": "payinfra", "Project": "python-graph"}
nodes = {}


def named(name):
    return f"python-{name}-{WORKSPACE}-{SUFFIX}"


def add(kind, name, args, region=REGION, **options):
    """Declares a resource, and returns a function that refers to its outputs."""
    address = f"{region}/{kind}/{name}"
    tags = {} if options.get("lookup") else {"tags": {**TAGS, "Name": named(name)}}
    nodes[address] = {"args": {**args, **tags}, **options}
    return lambda output="id": {"$ref": f"{address}#{output}"}


def text(*parts):
    """A string with references in it."""
    return {"$text": list(parts)}


def statement(sid, effect, actions, resources=(), principals={}, conditions={}):
    return {"sid": sid, "effect": effect, "actions": actions, "resources": list(resources), "principals": principals,
            "conditions": conditions}


zones = add("ec2.zones", "zones", {"count": 2}, lookup=True)
vpc = add("ec2.vpc", "main", {"cidr": "10.9.0.0/16", "dns_support": True, "dns_hostnames": True})
for index in range(2):
    cidr, zone = f"10.9.{index}.0/24", zones(f"names/{index}")
    add("ec2.subnet", f"private-{index}", {"vpc": vpc(), "cidr": cidr, "zone": zone, "public": False})
administer = statement("Root", "Allow", ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:PutKeyPolicy"],
                       ["*"], {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]})
key = add("kms.key", "main", {"description": "Reports", "policy": [administer], "rotation": True, "deletion_window": 7})
reports, plain = named("reports"), {"Bool": {"aws:SecureTransport": ["false"]}}
objects = [f"arn:aws:s3:::{reports}", f"arn:aws:s3:::{reports}/*"]
bucket = add("s3.bucket", "reports", {
    "name": reports, "versioning": True, "public_access_blocked": True, "lifecycle": {}, "ownership_enforced": True,
    "policy": [statement("Tls", "Deny", ["s3:*"], objects, {"*": ["*"]}, plain)],
    "encryption": {"key": key("arn"), "bucket_key": True}})
trust = statement("Assume", "Allow", ["sts:AssumeRole"], principals={"Service": ["lambda.amazonaws.com"]})
read = statement("Read", "Allow", ["s3:GetObject"], [text(bucket("arn"), "/*")])
role = add("iam.role", "reader", {
    "name": named("reader"), "description": "Reads the reports", "path": "/", "max_session": 3600,
    "trust": [trust], "inline": {"read": [read]}, "managed": []}, region="global")
outputs = {"reader": text(role("arn")), "reports": text("s3://", bucket(), "/")}
print(json.dumps({"format": 1, "stack": STACK, "workspace": WORKSPACE, "tags": TAGS, "nodes": nodes,
                  "outputs": outputs}, indent=2))
