"""Lambda in MiniStack."""

import random

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc


def unless_in_progress(original):
    """MiniStack accepts a change of a function while another one is in progress."""

    def replacement(name, data):
        function = lambda_svc._functions.get(name)
        config = function["config"] if function else {}
        if config.get("LastUpdateStatus") == "InProgress" or config.get("State") == "Pending":
            message = (
                "The operation cannot be performed at this time. "
                f"An update is in progress for resource: {config['FunctionArn']}"
            )
            return error_response_json("ResourceConflictException", message, 409)
        return original(name, data)

    return replacement


def publish_version(name, data, original=lambda_svc._publish_version):
    """MiniStack ignores the expected digest of the code."""
    function = lambda_svc._functions.get(name)
    has = function["config"]["CodeSha256"] if function else None
    wanted = data.get("CodeSha256")
    if has and wanted and wanted != has:
        message = (
            f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({has}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )
        return error_response_json("InvalidParameterValueException", message, 400)
    return original(name, data)


def create_esm(data, original=lambda_svc._create_esm):
    """MiniStack maps the same source to the same function twice."""
    name, qualifier, error = lambda_svc._resolve_existing_esm_function(data.get("FunctionName", ""))
    if error:
        return error
    wanted = (name, qualifier, data.get("EventSourceArn"))
    for mapping in lambda_svc._esms.values():
        if (mapping["FunctionName"], mapping["Qualifier"], mapping["EventSourceArn"]) == wanted:
            message = (
                f"An event source mapping with event source arn ({wanted[2]}) and function ({name}) already exists. "
                f"Please update or delete the existing mapping with UUID {mapping['UUID']}"
            )
            return error_response_json("ResourceConflictException", message, 409)
    return original(data)


def get_policy(name, query_params=None, path_qualifier=None, original=lambda_svc._get_policy):
    """In MiniStack, the policy of a function contains those of its versions and aliases, and is never missing."""
    qualifier = lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params)
    function = lambda_svc._functions.get(name)
    if qualifier or function is None:
        return original(name, query_params, path_qualifier)
    policy = function["policy"]
    own = [it for it in policy["Statement"] if it.get("Resource") == lambda_svc._func_arn(name)]
    if not own:
        message = "No policy is associated with the given resource."
        return error_response_json("ResourceNotFoundException", message, 404)
    function["policy"] = {**policy, "Statement": own}
    try:
        return original(name, query_params, path_qualifier)
    finally:
        function["policy"] = policy


def routed(function, qualifier):
    """The version that gets an invocation of an alias, by the weights of its versions, or else the qualifier."""
    alias = function["aliases"].get(qualifier) if function else None
    weights = ((alias or {}).get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    for version, weight in weights.items():
        if random.random() < weight:
            return version
    return qualifier


def get_func_record_for_ref(function_ref, original=lambda_svc._get_func_record_for_ref):
    """MiniStack ignores the weights of an alias: here for API Gateway and the other services that invoke functions."""
    function, _, _ = lambda_svc._get_base_func_record_for_ref(function_ref)
    _, qualifier = lambda_svc._resolve_name_and_qualifier(function_ref)
    version = routed(function, qualifier)
    if version != qualifier:
        function_ref = f"{function_ref.removesuffix(qualifier)}{version}"
    return original(function_ref)


async def invoke(name, event, headers, path_qualifier=None, query_params=None, original=lambda_svc._invoke):
    """The same for `Invoke`."""
    query = lambda_svc._qp_first(query_params or {}, "Qualifier") or lambda_svc._qp_first(headers, "x-amz-qualifier")
    qualifier = path_qualifier or query
    version = routed(lambda_svc._functions.get(name), qualifier)
    return await original(name, event, headers, version, query_params)


lambda_svc._update_code = unless_in_progress(lambda_svc._update_code)
lambda_svc._update_config = unless_in_progress(lambda_svc._update_config)
lambda_svc._publish_version = unless_in_progress(publish_version)
lambda_svc._create_esm = create_esm
lambda_svc._get_policy = get_policy
lambda_svc._get_func_record_for_ref = get_func_record_for_ref
lambda_svc._invoke = invoke
