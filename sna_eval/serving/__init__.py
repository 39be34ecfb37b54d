"""The gate on engines that run elsewhere: `sna-completions`, `sna-vllm`; proof that they act."""
