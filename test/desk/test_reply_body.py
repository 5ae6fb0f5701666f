"""What is taken from an earlier answer, and how its sentences become a reply."""

import pytest

from backend.core.desk.extractive_summary import tells_what_to_do
from backend.core.desk.reply_body import advice_of, arranged, body_of
from backend.core.graph.passage_prompt import PromptPassage

OFFER = "추가로 궁금하신 점이 있으면 이 메일에 회신해 주세요."
STEPS = "1. Open Sales channels > Reconnect.\n2. Agree to orders and products.\n3. Product links stay as they are."


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (f"Hello Marco,\n\n{STEPS}\n\nJust reply to this message if anything is left open.", STEPS),
        (f"Hi,\n{STEPS}\nThank you for your patience!\nPlease let us know if you have any questions.", STEPS),
        ("This is Jane from Ondam Support.\nThe card was charged once.", "The card was charged once."),
        ("I am sorry about that. Add the coupon before the payment.", "Add the coupon before the payment."),
        ("We hope this helps. Update to 5.2.1.", "Update to 5.2.1."),
        ("Update to 5.2.1. Please reply if you need further help.", "Update to 5.2.1."),
        ("Update it.\nOndam Support | weekdays 9:00-18:00 KST\nhelp.ondam.example", "Update it."),
        (
            f"안녕하세요, 김지호 고객님. 온담 고객지원팀 서연입니다.\n5.2.1로 업데이트해 주세요.\n{OFFER} 감사합니다.",
            "5.2.1로 업데이트해 주세요.",
        ),
        ("불편을 드려 죄송합니다. 캐시를 지워 주세요.", "캐시를 지워 주세요."),
        ("담당자 계정으로 로그인하면 됩니다.", "담당자 계정으로 로그인하면 됩니다."),
        ("문의 메뉴에서 취소할 수 있습니다.", "문의 메뉴에서 취소할 수 있습니다."),
        ("Thanks to the update it works.", "Thanks to the update it works."),
    ],
)
def test_what_is_in_every_answer_is_taken_out_of_it(reply: str, body: str) -> None:
    assert body_of(reply) == body


@pytest.mark.parametrize(
    ("reply", "tells"),
    [
        ("5.2.1로 업데이트해 주세요.", True),
        ("Please update to 5.2.1.", True),
        ("확인을 위해 화면을 캡처해 보내 주시면 바로 살펴보겠습니다.", False),
        ("그동안 저희도 기록을 다시 확인하겠습니다.", False),
        ("Could you please send a screenshot?", False),
        ("We are looking into it and will get back to you.", False),
    ],
)
def test_who_asks_or_puts_off_does_not_tell_what_to_do(reply: str, tells: bool) -> None:
    assert tells_what_to_do(reply) is tells


def test_chosen_sentences_stand_in_their_order_with_all_steps_of_a_list() -> None:
    passages = [PromptPassage(1, "Earlier answer", STEPS), PromptPassage(2, "Shops", "Ask the owner. It takes a day.")]
    chosen = ["- 3. Product links stay as they are.", "- It takes a day.", "- Ask the owner."]
    assert arranged(chosen, passages) == f"{STEPS}\n- Ask the owner.\n- It takes a day."


def test_what_still_has_anothers_mark_is_not_sent() -> None:
    text = "1. Allow [EMAIL].\n2. Ask again.\nWritten by [NAME]."
    passages = [PromptPassage(1, "Earlier answer", text)]
    assert arranged(["- 2. Ask again.", "- 1. Allow [EMAIL].", "- Written by [NAME]."], passages) == "Ask again."
    assert arranged(["Written by [NAME]."], passages) == ""


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        ("번거롭게 해 드려 죄송합니다. 담당 부서에서 다시 확인한 결과 방금 직접 처리했습니다.", ""),
        ("고객님 서버의 시계가 7분 빨라 발생했습니다.\n1. 시계를 맞추세요.", "1. 시계를 맞추세요."),
        ("요청하신 내용으로 발행했습니다. 홈택스에서 확인하실 수 있습니다.", "홈택스에서 확인하실 수 있습니다."),
        ("I have removed the block. Choose Settings > Sign-in.", "Choose Settings > Sign-in."),
        ("Your mail server had rejected our mail. We've reset it. Ask again.", "Ask again."),
        ("We recommend the template.", "We recommend the template."),
        ("환불은 3일 안에 됩니다. 곧 반영하겠습니다.", "환불은 3일 안에 됩니다. 곧 반영하겠습니다."),
    ],
)  # fmt: skip
def test_what_was_done_for_one_customer_is_no_advice_for_another(reply: str, advice: str) -> None:
    assert advice_of(reply) == advice
