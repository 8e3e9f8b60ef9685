"""Half of what moto takes to start and to answer: reading the same files and looking at the same classes again."""

import functools

from botocore import loaders
from moto.core import responses
from moto.moto_server import werkzeug_app
from moto.utilities import utils


@functools.cache
def read(path, original=loaders.JSONFileLoader.load_file):
    """Three sessions, one for each list of regions, read the endpoints of all services of AWS."""
    return original(loaders.JSONFileLoader(), path)


loaders.JSONFileLoader.load_file = lambda _self, path: read(path)


def load_resource(resource, original=utils.load_resource):
    """No instances are started here, so nobody asks which types of them every region offers."""
    return [] if "instance_type_offerings" in resource else original(resource)


utils.load_resource = load_resource

# For every call, moto looks at its own folder and at all members of the service.
responses.method_names_from_class = functools.cache(responses.method_names_from_class)


@functools.cache
def backend_for_host(dispatcher, host, original=werkzeug_app.DomainDispatcherApplication.get_backend_for_host):
    return original(dispatcher, host)


werkzeug_app.DomainDispatcherApplication.get_backend_for_host = lambda self, host: backend_for_host(self, host)
