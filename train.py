"""`soulchat train` for launchers that want a file. Train a model as a recipe says, evaluate it and describe it:

accelerate launch --quiet train.py demo
accelerate launch --quiet train.py paper --model_name_or_path THUDM/chatglm-6b --resume_from_checkpoint true
"""

import sys

from soulchat_command import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
