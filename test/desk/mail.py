"""Mails as people write them, and what of each is said in it: labelled by hand, of no real person.

`reply` are a desk's own answers, whose signatures are a colleague's; the others are customers'.
"""

from typing import NamedTuple


class Mail(NamedTuple):
    name: str
    text: str
    said: str
    """What is to be left."""


KO = "설정 > 결제에서 카드를 다시 등록해 주세요.\n5분 안에 반영됩니다."
EN = "Open Settings > Billing and add the card again.\nIt takes five minutes."

SIGNED = (
    Mail("ko: name 드림", f"{KO}\n\n감사합니다.\n\n김서연 드림", KO),
    Mail("ko: closing and name on one line", f"{KO}\n\n감사합니다. 김서연 드림", KO),
    Mail("ko: name올림 without a space", f"{KO}\n\n홍길동올림", KO),
    Mail("ko: team and name 드림", f"{KO}\n\n감사합니다.\n온담 고객지원팀 김서연 드림", KO),
    Mail("ko: name (team) 드림", f"{KO}\n\n김서연(고객지원팀) 드림", KO),
    Mail("ko: name 배상", f"{KO}\n\n온담 고객지원팀장 박민수 배상.", KO),
    Mail("ko: card below", f"{KO}\n\n김서연 매니저\n온담 | 고객지원팀\nT. 02-123-4567\nM. 010-1234-5678", KO),
    Mail("ko: title and phone only", f"{KO}\n\n김서연 대리 / 온담 고객지원팀\n전화 02-123-4567", KO),
    Mail("ko: hours and site", f"{KO}\n\n김서연\n온담 고객지원팀 | 평일 09:00~18:00\nhelp.ondam.example", KO),
    Mail(
        "ko: offer, thanks, card",
        f"{KO}\n\n추가로 궁금하신 점이 있으면 이 메일에 회신해 주세요. 감사합니다.\n\n김서연"
        "\n온담 고객지원팀\n1588-1234",
        f"{KO}\n\n추가로 궁금하신 점이 있으면 이 메일에 회신해 주세요. 감사합니다.",
    ),
    Mail("ko: redacted name", f"{KO}\n\n감사합니다.\n[NAME_1] 드림", KO),
    Mail("ko: address and fax", f"{KO}\n\n감사합니다.\n김서연\n서울시 강남구 테헤란로 123, 4층\nFax 02-123-4568", KO),
    Mail("ko: rule", f"{KO}\n\n──────────\n온담 고객지원팀\n김서연 매니저\nsupport@ondam.example", KO),
    Mail("ko: dashes with a space", f"{KO}\n\n-- \n김서연 | 온담 고객지원팀 | 평일 09:00~18:00", KO),
    Mail("ko: dashes and name on one line", f"{KO}\n\n-- 김서연", KO),
    Mail("ko: this was", f"{KO}\n\n감사합니다.\n온담 고객지원팀 김서연이었습니다.", KO),
    Mail("ko: have a nice day", f"{KO}\n\n오늘도 좋은 하루 보내세요!\n온담 고객지원팀 드림", KO),
    Mail("ko: thanks with a smile", f"{KO}\n\n감사합니다 :)\n김서연 드림", KO),
    Mail("ko: phone footer", f"{KO}\n\n감사합니다.\n홍길동\n\n내 iPhone에서 보냄", KO),
    Mail("ko: Galaxy footer", f"{KO}\n\n홍길동 드림\n\nSamsung Galaxy 스마트폰에서 보냈습니다.", KO),
    Mail("ko: sent by Naver", f"{KO}\n\n네이버 메일 앱에서 보냈습니다.", KO),
    Mail("en: regards", f"{EN}\n\nBest regards,\n\nJane Porter", EN),
    Mail("en: regards on one line", f"{EN}\n\nBest regards, Jane", EN),
    Mail("en: many regards", f"{EN}\n\nWarmest regards,\nJane Porter\nSupport Specialist\nOndam Inc.", EN),
    Mail("en: cheers on one line", f"{EN}\n\nCheers, Tom", EN),
    Mail("en: thanks and a name", f"{EN}\n\nThanks,\nTom Becker", EN),
    Mail("en: thank you for your patience", f"{EN}\n\nThank you for your patience.\n\nJane\nOndam Support", EN),
    Mail("en: dashes", f"{EN}\n\n--\nJane Porter\nOndam Support | weekdays 9:00-18:00 KST\nhelp.ondam.example", EN),
    Mail("en: dashes on one line", f"{EN}\n\n-- Jane", EN),
    Mail("en: card with bars", f"{EN}\n\nJane Porter | Support Specialist | Ondam Inc.\n+1 212-555-7890", EN),
    Mail("en: the team", f"{EN}\n\nThe Ondam Support Team", EN),
    Mail("en: your team", f"{EN}\n\nYours,\nYour Ondam Support Team", EN),
    Mail("en: hours", f"{EN}\n\nJane\nOndam Support | weekdays 9:00-18:00 KST\nhelp.ondam.example", EN),
    Mail("en: pronouns and direct line", f"{EN}\n\nKind regards\nJane Porter (she/her)\nDirect: (212) 555-7890", EN),
    Mail("en: initials", f"{EN}\n\nRgds,\nJP", EN),
    Mail("en: iPhone", f"{EN}\n\nThanks!\nTom\n\nSent from my iPhone", EN),
    Mail("en: excuse typos", f"{EN}\n\nTom\n\nSent from my iPhone, please excuse typos", EN),
    Mail("en: Outlook", f"{EN}\n\nRegards\nTom\nGet Outlook for Android<https://aka.ms/o0ukef>", EN),
    Mail("en: redacted", f"{EN}\n\nSincerely,\n[NAME_2]\n[PHONE_1]", EN),
    Mail(
        "html: class", "<p>Add the card.</p><div class='signature'><p>Jane<br>Ondam Support</p></div>", "Add the card."
    ),
    Mail(
        "html: class of a client",
        "<p>Add the card.</p><table class='email-signature'><tr><td>Jane</td></tr></table>",
        "Add the card.",
    ),
)
"""With a signature."""

UNSIGNED = (
    "버튼이 없습니다.\n- 저장\n- 취소",
    "Two are missing.\n\n- Save\n- Cancel",
    "설정을 열어 주세요.\n감사합니다.\n그런데 한 가지 더, 주문번호 20240105-1 도 확인 부탁드립니다.",
    "다음 메뉴가 보이지 않습니다.\n\n판매 채널\n정산 내역\n주문 수집",
    "제품 목록입니다.\n\n사과\n배\n포도",
    "오류가 납니다.\n\nE-1042\nE-1015",
    "Please send it to:\n\nNorthwind Living\n5 Harbour Street\nDublin",
    "The buttons are missing:\n\nSave\nCancel",
    "Regards of other customers are shown on my page.",
    "Thanks, but it still fails with PAY-14.",
    "Best, it works when I restart the app.",
    "선물로 드림",
    "제가 어제 보낸 선물 드림",
    "첫 번째 방법은 되지 않았습니다.\n\n두 번째 방법",
    "다음과 같이 나옵니다.\n-----\nfatal: not a repository\n-----\n어떻게 하나요?",
    "문의드립니다.\n\n홍길동 고객의 주문이 두 건입니다.",
    "We wrote to the team.\n\nThe support team never answered",
    "Call me at 010-1234-5678 tomorrow.",
    "전화 주세요. 010-1234-5678",
    "계정은 아래와 같습니다.\n\nhong@example.com",
    "My account is\n\njane@example.com",
    "Version of the app\n\n5.2.1",
    "-- verbose 를 붙이면 됩니다.",
    "Run it so:\n\n-- help",
    "고객지원팀에 전화했습니다.\n답이 없었습니다.",
    "The address of the shop is wrong:\nhttps://shop.example.com",
    "감사합니다 페이지가 열리지 않습니다.",
)
"""Without one, though some of it looks so: nothing may be taken away."""


LATER_SIGNED = (
    f"{KO}\n\n감사드립니다.\n이하늘 올림\n(주)온담 CS팀",
    f"{KO}\n\n수고하세요~\n박지훈",
    f"{KO}\n\n편안한 저녁 되세요.\n온담 CX센터 상담원 최유나",
    f"{KO}\n\n정하윤 선임 | 기술지원팀\n직통 070-7777-8888",
    f"{KO}\n\n언제나 최선을 다하는 온담이 되겠습니다.\n감사합니다.\n\n온담 고객센터 드림",
    f"{KO}\n\n감사합니다.\n--\n오세훈 / 운영팀 / ext. 1204",
    f"{KO}\n\n온담 고객센터\n운영시간 평일 10:00-17:00 (점심 12:00-13:00)",
    f"{KO}\n\nBest Regards,\n김서연 (Seoyeon Kim)\nCustomer Success Manager",
    f"{KO}\n\n감사합니다.\n\n한지민 드림\n\n본 메일은 발신 전용입니다.",
    f"{EN}\n\nHave a great day!\nMaria",
    f"{EN}\n\nAll the best,\nSam Lee\nSenior Support Engineer, Ondam",
    f"{EN}\n\nTake care,\nThe Ondam Team",
    f"{EN}\n\nWith thanks,\n\nPriya N.\nTechnical Support | Ondam\nt: +44 20 7946 0958",
    f"{EN}\n\nKind Regards, Priya Natarajan",
    f"{EN}\n\n- Jane",
    f"{EN}\n\nJane Porter\nSupport Specialist\nOndam",
    f"{EN}\n\nRespectfully yours,\nJ. Porter\n\nThis message is confidential and intended only for the addressee.",
    f"{EN}\n\n~ Tom from Ondam Support",
    f"{EN}\n\nSent from Outlook for iOS",
    f"{EN}\n\nTom Becker\nOndam Support Team\n123 Main Street, Springfield",
)
"""Written after the rules. Of these 11 came out right before the rules were widened, and 5 with those before them."""
