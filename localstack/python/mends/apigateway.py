"""API Gateway, version 1, in MiniStack."""

import json
from urllib.parse import unquote

from ministack.services import apigateway_v1 as v1

BOOLEANS = {"disableExecuteApiEndpoint", "enabled"}
NUMBERS = {"burstLimit": int, "limit": int, "rateLimit": float}


def patched(thing, operations, original=v1._apply_patch):
    """MiniStack stores numbers and booleans of patches as text, and does not know the stages of a usage plan."""
    rest = []
    for operation in operations:
        name, value = operation.get("path", "").rpartition("/")[2], operation.get("value")
        if name == "apiStages":
            api, _, stage = value.partition(":")
            stages = [it for it in thing.get("apiStages", []) if (it["apiId"], it["stage"]) != (api, stage)]
            added = [{"apiId": api, "stage": stage}] if operation["op"] == "add" else []
            thing["apiStages"] = stages + added
            continue
        if value is not None and name in BOOLEANS:
            operation = {**operation, "value": value == "true"}
        elif value is not None and name in NUMBERS:
            operation = {**operation, "value": NUMBERS[name](value)}
        rest.append(operation)
    return original(thing, rest)


def tagged(arn):
    """What an ARN names, which has its tags, or None."""
    parts = unquote(arn).split("::", 1)[-1].strip("/").split("/")
    match parts:
        case ["restapis", api]:
            return v1._rest_apis.get(api)
        case ["restapis", api, "stages", stage]:
            return v1._stages_v1.get(api, {}).get(stage)
        case ["apikeys", key]:
            return v1._api_keys.get(key)
        case ["usageplans", plan]:
            return v1._usage_plans.get(plan)
        case ["domainnames", domain]:
            return v1._domain_names.get(domain)
    return None


def missing_tagged():
    return v1._v1_error("NotFoundException", "Invalid resource identifier specified", 404)


def get_tags(arn):
    """MiniStack keeps the tags of TagResource apart from those of a create call."""
    thing = tagged(arn)
    return missing_tagged() if thing is None else v1._v1_response({"tags": thing.get("tags") or {}})


def tag_resource(arn, data):
    thing = tagged(arn)
    if thing is None:
        return missing_tagged()
    thing["tags"] = {**(thing.get("tags") or {}), **data.get("tags", {})}
    return 204, {}, b""


def untag_resource(arn, keys):
    thing = tagged(arn)
    if thing is None:
        return missing_tagged()
    thing["tags"] = {key: value for key, value in (thing.get("tags") or {}).items() if key not in keys}
    return 204, {}, b""


def unless_exists(original, exists, message):
    """MiniStack replaces what exists."""

    def replacement(*arguments):
        if exists(*arguments):
            return v1._v1_error("ConflictException", message, 409)
        return original(*arguments)

    return replacement


def has_method(api, resource, method, _data):
    return method in v1._resources.get(api, {}).get(resource, {}).get("resourceMethods", {})


def has_key(data):
    value = data.get("value")
    return value is not None and any(key["value"] == value for key in v1._api_keys.values())


def create_domain_name(data, original=v1._create_domain_name):
    """MiniStack replaces an existing domain name."""
    if data.get("domainName") in v1._domain_names:
        return v1._v1_error("BadRequestException", "The domain name you provided already exists.", 400)
    return original(data)


def create_deployment(api, data, original=v1._create_deployment):
    """MiniStack deploys APIs without methods, and methods without an integration."""
    resources = v1._resources.get(api, {}).values()
    methods = [method for resource in resources for method in resource["resourceMethods"].values()]
    if api in v1._rest_apis and not methods:
        return v1._v1_error("BadRequestException", "The REST API doesn't contain any methods", 400)
    if not all(method.get("methodIntegration") for method in methods):
        return v1._v1_error("BadRequestException", "No integration defined for method", 400)
    return original(api, data)


def delete_deployment(api, deployment, original=v1._delete_deployment):
    """MiniStack deletes the deployment of a stage."""
    if any(stage["deploymentId"] == deployment for stage in v1._stages_v1.get(api, {}).values()):
        message = "Active stages pointing to this deployment must be moved or deleted"
        return v1._v1_error("BadRequestException", message, 400)
    return original(api, deployment)


def delete_resource(api, resource, original=v1._delete_resource):
    """MiniStack keeps the resources below a deleted one."""
    resources = v1._resources.get(api, {})
    for below in [id for id, it in resources.items() if it.get("parentId") == resource]:
        delete_resource(api, below)
    return original(api, resource)


def delete_usage_plan(plan, original=v1._delete_usage_plan):
    """MiniStack deletes a usage plan with stages."""
    if v1._usage_plans.get(plan, {}).get("apiStages"):
        message = f"Cannot delete usage plan '{plan}' because there are API stages associated with it"
        return v1._v1_error("BadRequestException", message, 400)
    return original(plan)


def update_domain_name(domain, operations):
    thing = v1._domain_names.get(domain)
    if thing is None:
        return v1._v1_error("NotFoundException", "Invalid domain name identifier specified", 404)
    return v1._v1_response(patched(thing, operations))


def update_base_path_mapping(domain, path, operations):
    mapping = v1._base_path_mappings.get(domain, {}).get(path)
    if mapping is None:
        return v1._v1_error("NotFoundException", "Invalid base path mapping identifier specified", 404)
    names = {"/restapiId": "restApiId", "/stage": "stage"}
    for operation in operations:
        mapping[names[operation["path"]]] = operation["value"]
    return v1._v1_response(v1._public_mapping(mapping))


async def handle_request(method, path, headers, body, query_params, original=v1.handle_request):
    """MiniStack cannot update domain names and base path mappings."""
    if method == "PATCH":
        operations = json.loads(body or "{}").get("patchOperations", [])
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["domainnames", domain]:
                return update_domain_name(domain, operations)
            case ["domainnames", domain, "basepathmappings", base_path]:
                return update_base_path_mapping(domain, base_path, operations)
    return await original(method, path, headers, body, query_params)


v1._apply_patch = patched
v1._get_v1_tags = get_tags
v1._tag_v1_resource = tag_resource
v1._untag_v1_resource = untag_resource
v1._put_method = unless_exists(v1._put_method, has_method, "Method already exists for this resource")
v1._create_api_key = unless_exists(v1._create_api_key, has_key, "API Key already exists")
v1._create_stage = unless_exists(
    v1._create_stage,
    lambda api, data: data.get("stageName") in v1._stages_v1.get(api, {}),
    "Stage already exists",
)
v1._create_model = unless_exists(
    v1._create_model,
    lambda api, data: data.get("name") in v1._models.get(api, {}),
    "Model name already exists for this REST API",
)
v1._create_usage_plan_key = unless_exists(
    v1._create_usage_plan_key,
    lambda plan, data: data.get("keyId") in v1._usage_plan_keys.get(plan, {}),
    "Usage Plan Key already exists",
)
v1._create_base_path_mapping = unless_exists(
    v1._create_base_path_mapping,
    lambda domain, data: data.get("basePath", "(none)") in v1._base_path_mappings.get(domain, {}),
    "Base path already exists for this domain name",
)
v1._create_domain_name = create_domain_name
v1._create_deployment = create_deployment
v1._delete_deployment = delete_deployment
v1._delete_resource = delete_resource
v1._delete_usage_plan = delete_usage_plan
v1.handle_request = handle_request
