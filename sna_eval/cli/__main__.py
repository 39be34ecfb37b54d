"""`python -m sna_eval.cli`."""

import sys

from sna_eval.cli import main

sys.exit(main())
