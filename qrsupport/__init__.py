"""Does quantizing a text classifier make it robust, or only different?"""

import os

__version__ = "0.1.0"

# ONNX Runtime's builds send usage events and keep a device id in the user's home unless told not to before it loads.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
