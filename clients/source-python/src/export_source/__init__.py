"""Write a source application of the export platform.

You give a function from a request to rows or bytes::

    from export_source import Request, SourceApplication, resources

    def hosts(request: Request):
        for host in my_database.hosts(org_id=request.org_id):
            yield {"name": host.name, "address": host.address}

    SourceApplication.from_env(resources({"hosts": hosts})).run()

The library consumes the requests, writes CSV or JSON while the rows come, uploads it, tries again while
the platform is away, reports what the function refuses, and commits after the answer.
"""

from export_source.application import SourceApplication, resources
from export_source.credentials import ApplicationKey, ClientCredentials, Credentials
from export_source.errors import ConfigurationError, InvalidEventError, SourceError
from export_source.logs import configure_logging
from export_source.metrics import Metrics
from export_source.request import Request
from export_source.settings import Settings
from export_source.table import Table

__version__ = "0.1.0"

__all__ = [
    "ApplicationKey",
    "ClientCredentials",
    "ConfigurationError",
    "Credentials",
    "InvalidEventError",
    "Metrics",
    "Request",
    "Settings",
    "SourceApplication",
    "SourceError",
    "Table",
    "configure_logging",
    "resources",
]
