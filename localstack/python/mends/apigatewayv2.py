"""API Gateway, version 2, in MiniStack."""

from urllib.parse import unquote

from ministack.services import apigateway as v2


def tagged(arn):
    """What an ARN names, which has its tags, or None."""
    match unquote(arn).split("::", 1)[-1].strip("/").split("/"):
        case ["apis", api]:
            return v2._apis.get(api)
        case ["apis", api, "stages", stage]:
            return v2._stages.get(api, {}).get(stage)
    return None


def get_tags(arn, original=v2._get_tags):
    """MiniStack keeps the tags of TagResource apart from those of a create call."""
    thing = tagged(arn)
    return original(arn) if thing is None else v2._apigw_response({"tags": thing.get("tags") or {}})


def tag_resource(arn, data, original=v2._tag_resource):
    thing = tagged(arn)
    if thing is not None:
        thing["tags"] = {**(thing.get("tags") or {}), **data.get("tags", {})}
    return original(arn, data)


def untag_resource(arn, keys, original=v2._untag_resource):
    thing = tagged(arn)
    if thing is not None:
        thing["tags"] = {key: value for key, value in (thing.get("tags") or {}).items() if key not in keys}
    return original(arn, keys)


def create_route(api, data, original=v2._create_route):
    """MiniStack creates a second route for the same requests."""
    key = data.get("routeKey")
    if any(route["routeKey"] == key for route in v2._routes.get(api, {}).values()):
        return v2._apigw_error("ConflictException", f"Route with key {key} already exists for this API", 409)
    return original(api, data)


def create_stage(api, data, original=v2._create_stage):
    """MiniStack replaces an existing stage."""
    if data.get("stageName") in v2._stages.get(api, {}):
        return v2._apigw_error("ConflictException", "Stage already exists", 409)
    return original(api, data)


def update_stage(api, name, data, original=v2._update_stage):
    """MiniStack replaces the variables; in AWS, an empty value removes one, and others are kept."""
    stage = v2._stages.get(api, {}).get(name)
    if stage is not None and "stageVariables" in data:
        variables = {**stage["stageVariables"], **data["stageVariables"]}
        data = {**data, "stageVariables": {key: value for key, value in variables.items() if value != ""}}
    return original(api, name, data)


async def handle_request(method, path, headers, body, query_params, original=v2.handle_request):
    """MiniStack has no DeleteAccessLogSettings, and does not decode the name `$default`."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match [method, *parts]:
        case ["DELETE", "v2", "apis", api, "stages", name, "accesslogsettings"]:
            stage = v2._stages.get(api, {}).get(name)
            if stage is None:
                return v2._apigw_error("NotFoundException", f"Stage '{name}' not found", 404)
            stage.pop("accessLogSettings", None)
            return 204, {}, b""
        case [_, "v2", "apis", *_]:
            path = "/" + "/".join(parts)
    return await original(method, path, headers, body, query_params)


v2._get_tags = get_tags
v2._tag_resource = tag_resource
v2._untag_resource = untag_resource
v2._create_route = create_route
v2._create_stage = create_stage
v2._update_stage = update_stage
v2.handle_request = handle_request
