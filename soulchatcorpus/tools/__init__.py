"""What is done with whole corpora: converted, fetched, sampled, processed on many machines."""
