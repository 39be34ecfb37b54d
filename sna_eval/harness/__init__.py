"""The lm_eval side: the model type `sna`, its metrics and data. No part before it knows lm_eval."""
