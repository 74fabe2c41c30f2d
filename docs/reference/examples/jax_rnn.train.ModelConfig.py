from jax_rnn.train import ModelConfig, RunConfig

model = ModelConfig(class_="my_project.models:Model", options={"hidden_size": 8})
config = RunConfig(name="first try", model=model)  # what load builds the model from
assert config.model is model
