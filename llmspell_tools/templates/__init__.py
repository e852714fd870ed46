"""Templates of others, rendered with data: nothing in them runs as code, and each ends within a budget.

`tera.py` and `handlebars.py` have a function `render` each; what they refuse is a `TemplateProblem`, or `NotSupported`
where the language has what we don't do. They know no tool.
"""

from __future__ import annotations
