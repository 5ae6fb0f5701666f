"""The smallest useful agent, to start from: it remembers the conversation and lets the model reply.

Five files, of which `daedap new graph NAME` writes a copy under your name:

- `graph_state.py`: what the agent knows while it works, and what is kept between turns
- `prompt_manager.py`: what it says to the model, in each language, with a version
- `chain_builder.py`: prompt and model, put together
- `node/reply.py`: the one step; another step is another file there
- `graph_orchestrator.py`: its name, and where its state and nodes are
"""
