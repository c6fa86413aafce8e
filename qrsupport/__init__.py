"""Does quantizing a text classifier make it robust, or only different?

    import qrsupport as qr

    p = qr.parameters(dataset="mr", resources="local", attack="textfooler", n=100)
    fp32, int8 = (qr.attack(p, name) for name in ("fp32", "int8-dynamic"))

The names below are what a notebook needs; each makes what it lacks, in the run directory, and uses what lies there.
`qrsupport.pipeline` says what is made from what; the folders lie in the order in which data flows.
"""

import importlib
import os

__version__ = "0.1.0"

# ONNX Runtime's builds send usage events and keep a device id in the user's home unless told not to before it loads.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

PUBLIC = {"parameters": ("config", "make")} | {
    name: ("pipeline", name)
    for name in ("dataset", "checkpoint", "variant", "classifier", "attack", "replay", "matrix", "clean", "read")
}
"""Public name → module and name there, loaded when first used."""
__all__ = list(PUBLIC)


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(PUBLIC)}")
    module, inside = PUBLIC[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), inside)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
