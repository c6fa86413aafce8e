"""Does quantizing a text classifier make it robust, or only different?"""

__version__ = "0.1.0"
