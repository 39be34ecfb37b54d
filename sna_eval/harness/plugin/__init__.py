"""lm_eval's corners that are no interface: an upgrade of lm_eval is looked at here."""
