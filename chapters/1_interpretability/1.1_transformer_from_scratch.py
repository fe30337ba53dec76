# ---
# arena: {id: "1.1", slug: transformer_from_scratch, title: Transformer from scratch, hours: 8, needs: [tiny-gpt]}
# objectives:
#   - "Write every part of a GPT-2-style transformer"
# ---
# %% [markdown]
# ## Attention
#
# Each position of a sequence predicts the token that follows it. A position must
# therefore never look at a later one, or it would read the answer off the page.
# The scores say how much a query attends to each key, before the softmax; so the
# place to forbid looking ahead is there.
# %% exercise="causal_mask" title="Hide the future" difficulty=2 importance=5 minutes=15
# hint: What should softmax give for a key that lies in the future?
# hint: Which value of a score becomes exactly zero after softmax?
# hint: torch.triu with a diagonal picks the entries above the main diagonal.
