"""What text says of suicide, self-harm and private details: one answer for corpus and chat."""
