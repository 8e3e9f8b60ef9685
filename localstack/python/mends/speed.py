"""Halves moto's startup and response times, by avoiding repeated reads of files and repeated introspection."""

import functools

from botocore import loaders
from moto.core import responses
from moto.moto_server import werkzeug_app
from moto.utilities import utils


@functools.cache
def read(path, original=loaders.JSONFileLoader.load_file):
    """Three sessions, one for each list of regions, read the endpoints of all AWS services."""
    return original(loaders.JSONFileLoader(), path)


loaders.JSONFileLoader.load_file = lambda _self, path: read(path)


def load_resource(resource, original=utils.load_resource):
    """No instances are started here, so the instance types of each region are not needed."""
    return [] if "instance_type_offerings" in resource else original(resource)


utils.load_resource = load_resource

# For every call, moto inspects its own folder and all members of the service.
responses.method_names_from_class = functools.cache(responses.method_names_from_class)


@functools.cache
def backend_for_host(dispatcher, host, original=werkzeug_app.DomainDispatcherApplication.get_backend_for_host):
    return original(dispatcher, host)


werkzeug_app.DomainDispatcherApplication.get_backend_for_host = lambda self, host: backend_for_host(self, host)
