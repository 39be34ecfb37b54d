"""The lm_eval side: the model type `sna`, its metrics and data. Everything above knows no lm_eval."""
