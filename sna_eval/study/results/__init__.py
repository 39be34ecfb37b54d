"""Result and sample files of lm_eval, read once for everything that looks at them."""
