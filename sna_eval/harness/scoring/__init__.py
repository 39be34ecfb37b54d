"""From items to both answers: baseline, decision, amplification; no model is known here."""
