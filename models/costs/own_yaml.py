"""Read the YAML that comes with etsim: by libyaml where there is one, ten times faster."""

from collections.abc import Mapping
from importlib.resources import files

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a safe loader, too


def read_own_yaml(name: str) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """Give the tables of a file of this package, such as `constants.yaml`."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    tables: Mapping[str, Mapping[str, Mapping[str, float]]] = yaml.load(text, Loader=_LOADER)
    return tables
