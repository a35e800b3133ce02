"""Train a model as a recipe says, evaluate it and describe it:

accelerate launch train.py demo
accelerate launch train.py paper --model_name_or_path THUDM/chatglm-6b --resume_from_checkpoint true
"""

from soulchat_trainer.train import main

if __name__ == "__main__":
    main()
