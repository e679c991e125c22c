from shardwright.rehearse import tokenizer


def test_every_byte_has_a_letter_of_its_own():
    letters = tokenizer.byte_letters()
    assert len(set(letters.values())) == 256
    # as GPT-2 has it: a space is shown as U+0120, a newline as U+010A
    assert (letters[ord(" ")], letters[ord("\n")], letters[ord("A")]) == ("\u0120", "\u010a", "A")


def test_ids_are_dense_and_every_merge_joins_known_tokens():
    vocab = tokenizer.vocabulary()
    assert sorted(vocab.values()) == list(range(len(vocab)))
    for left, right in tokenizer.merges():
        assert {left, right, left + right} <= vocab.keys()


def test_special_tokens_are_where_the_config_says():
    vocab = tokenizer.vocabulary()
    assert vocab[tokenizer.SPECIAL[0]] == tokenizer.IDS["bos_token_id"]
    assert vocab[tokenizer.SPECIAL[1]] == tokenizer.IDS["eos_token_id"]


def test_readable_ids_are_plain_text():
    token_of = {i: token for token, i in tokenizer.vocabulary().items()}
    readable = [token_of[i] for i in tokenizer.readable_ids()]
    assert "the" in "".join(readable)
    assert not set(readable) & set(tokenizer.SPECIAL)
