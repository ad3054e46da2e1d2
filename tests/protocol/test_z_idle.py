"""Comes last: its minute of waiting has run beside all others."""


def test_a_connection_that_was_idle_for_over_60_s_carries_the_next_call(idle):
    assert idle.first[0] == 200
    status, headers, answer = idle.second()
    assert status == 200, answer
    assert headers["Content-Type"] == "application/json"
