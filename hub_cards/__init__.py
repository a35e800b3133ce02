"""Cards and publishing to the Hugging Face Hub."""
