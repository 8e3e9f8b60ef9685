"""Permissions, which MiniStack can check: of the roles in moto's IAM, whose policies it cannot see.

The access key `test` may do everything that resource policies do not deny. For calls of moto's services, the gateway asks here.
"""

import asyncio
import json
import os
import secrets
import time

import boto3
from botocore.exceptions import ClientError
from ministack import app
from ministack.core import iam_actions, iam_evaluator, sigv4
from ministack.services import sts

PATH = "/_payinfra/permissions"
PERMITTED = "/_payinfra/permitted"
SESSION = "/_payinfra/session"
CHANGED = "x-payinfra-changed"
# How long the policies of a role are kept, in seconds.
KEPT = 1.0

# The actions of Lambda that are not named as the operation.
LAMBDA = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}

known = {}


def iam():
    """moto's IAM."""
    return boto3.client("iam", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")


def documents(role):
    """The policies of a role, inline and managed, according to IAM."""
    client = iam()
    try:
        for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
            yield client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for policy in client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            version = client.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
            found = client.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
            yield found["PolicyVersion"]["Document"]
    except client.exceptions.NoSuchEntityException:
        # A role that does not exist has no permissions.
        return


def gather_role_policies(role_name, account_id):
    """MiniStack knows the roles of its own IAM only."""
    until, statements = known.get(role_name, (0.0, []))
    if time.monotonic() > until:
        parsed = (iam_evaluator.parse_policy_document(document) for document in documents(role_name))
        statements = [policy for policy in parsed if policy]
        known[role_name] = (time.monotonic() + KEPT, statements)
    return statements


def resolve_condition_key(key, context, original=iam_evaluator._resolve_condition_key):
    """The principal of a session is its role: IAM User Guide, AWS global condition context keys."""
    role = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
    if key.lower() == "aws:principalarn" and ":assumed-role/" in context.principal_arn:
        return f"arn:aws:iam::{context.principal_account}:role/{role}"
    return original(key, context)


def lambda_action(method, path, original=iam_actions._lambda_action):
    """MiniStack has no actions for single aliases and mappings, and others for those of functions: the API's own routes decide."""
    action = iam_actions._match_rest_action("lambda", method, path, {})
    return LAMBDA.get(action, action) or original(method, path)


def validate_role_arn(arn):
    """What is wrong with the ARN of a role that a service is to assume: as in MiniStack, which knows the roles of its own IAM
    only, it is looked at if permissions are checked."""
    if not app.AUTH:
        return None
    name = arn.rsplit("/", 1)[-1]
    try:
        iam().get_role(RoleName=name)
    except ClientError as error:
        return f"{error.response['Error']['Message']} (Service: IAM)"
    return None


def header_signature_failure(*args, original=sigv4.header_signature_failure, **options):
    """A request that the gateway has changed, to read a list as a whole, does not fit its signature."""
    headers = args[5]
    return None if CHANGED in headers else original(*args, **options)


def permitted(access_key, action, account):
    """Whether a principal may do an action with some resource, under some condition: moto's services have no others to check."""
    principal = iam_evaluator.resolve_principal(access_key, account)
    if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
        # An unknown key is that of a test or of an emulator.
        return True
    statements = [statement for policy in principal.policies for statement in policy]
    matching = [it for it in statements if iam_evaluator._action_matches(action, it.actions, it.not_actions)]
    denied = any(it.effect == "Deny" and not it.conditions and "*" in it.resources for it in matching)
    return not denied and any(it.effect == "Allow" for it in matching)


def session(role):
    """Credentials of a role in moto's IAM, whose own STS makes sessions that nothing checks."""
    access_key, secret_key, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_hex(20), secrets.token_hex(32)
    account = os.environ["MINISTACK_ACCOUNT_ID"]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/session"
    user = {"Arn": arn, "UserId": f"{role}:session", "SecretAccessKey": secret_key, "SessionToken": token}
    sts.register_session(access_key, user)
    return {"access_key": access_key, "secret_key": secret_key, "token": token}


async def answer(send, body=b""):
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def served(application):
    """The application with paths for the gateway: to switch the checks on or off, to ask whether a call is allowed, and to get
    credentials of a role. Requests count as sent with TLS."""

    async def serving(scope, receive, send):
        if scope["type"] != "http":
            await application(scope, receive, send)
        elif scope["path"] == PATH:
            message = await receive()
            app.AUTH = json.loads(message["body"])
            await answer(send)
        elif scope["path"] == PERMITTED:
            call = json.loads((await receive())["body"])
            # Reading the policies is a call to IAM, which must not block the calls of functions.
            allowed = await asyncio.to_thread(permitted, call["access_key"], call["action"], call["account"])
            await answer(send, json.dumps(allowed).encode())
        elif scope["path"] == SESSION:
            role = (await receive())["body"].decode()
            await answer(send, json.dumps(session(role)).encode())
        else:
            secure = [*scope["headers"], (b"x-forwarded-proto", b"https")] if app.AUTH else scope["headers"]
            await application({**scope, "headers": secure}, receive, send)

    return serving


iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
iam_actions._lambda_action = lambda_action
iam_evaluator._gather_role_policies = gather_role_policies
iam_evaluator._resolve_condition_key = resolve_condition_key
iam_evaluator.validate_role_arn = validate_role_arn
sigv4.header_signature_failure = header_signature_failure
