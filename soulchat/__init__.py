"""The application, and one import that makes the names known:

    import soulchat

    datasets.load_dataset("soulchatcorpus"); evaluate.load("soulchat_metrics")
    transformers.AutoModelForCausalLM.from_pretrained("a folder of ChatGLM-6B")

A model is registered as its class, which needs torch and transformers: seconds, which the command line would pay at
each start. So the models are registered here where transformers is imported already, and by `import soulchat_trainer`
anywhere.
"""

import os
import sys

# The Hub's client reads it when it is imported: nobody is told that somebody talks here.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import soulchat_metrics  # noqa: F401  (registers the metric)
import soulchatcorpus  # noqa: F401  (registers the data set)

if "transformers" in sys.modules:
    import soulchat_trainer  # noqa: F401  (registers the models)

__version__ = "0.1.0"
