"""`sna-eval reproduce` by the name it had; takes the same flags."""

import sys

from sna_eval.cli import main

sys.exit(main(["reproduce", *sys.argv[1:]]))
