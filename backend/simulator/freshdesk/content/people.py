"""Who writes and who answers. All names, companies, addresses and numbers are invented."""

AGENTS = (
    ("서지훈", "jihoon.seo", 1, True),
    ("박서연", "seoyeon.park", 1, False),
    ("이도윤", "doyun.lee", 1, False),
    ("최유나", "yuna.choi", 1, False),
    ("Emily Carter", "emily.carter", 1, False),
    ("정민재", "minjae.jung", 2, False),
)
"""Name, e-mail name, `ticket_scope` (1 all, 2 the own groups), whether an administrator."""
GROUPS = {
    "access": "계정·로그인",
    "billing": "결제·요금",
    "order": "주문·배송",
    "developer": "개발자·연동",
    "app": "앱·화면",
}
COMPANIES = (
    ("하늘상점", "haneul-store.example"),
    ("도토리공방", "dotori-craft.example"),
    ("바른먹거리연구소", "barunfood.example"),
    ("그린핏스포츠", "greenfit.example"),
    ("모퉁이책방", "corner-books.example"),
    ("누리전자", "nuri-electronics.example"),
    ("제주감귤농장", "jeju-gamgyul.example"),
    ("스튜디오 여름", "studio-summer.example"),
    ("해오름무역", "haeoreum-trade.example"),
    ("포근한침구", "pogeun-bedding.example"),
    ("Northwind Living", "northwind-living.example"),
    ("Blue Harbor Trading", "blueharbor.example"),
)
FAMILY_NAMES = "김 이 박 최 정 강 조 윤 장 임 한 오 서 신 권 황".split()
GIVEN_NAMES = (
    "민준 서연 도윤 지우 하준 수아 예은 지호 유진 은서 현우 다은 성민 나윤 태희 소영 재현 미정 동현 가영".split()
)
_ROMANISED = (
    "kim lee park choi jung kang cho yoon jang lim han oh seo shin kwon hwang "
    "minjun seoyeon doyun jiwoo hajun sua yeeun jiho yujin eunseo hyunwoo daeun sungmin nayun taehee soyoung jaehyun "
    "mijung donghyun gayoung"
)
ROMANISED = dict(zip(FAMILY_NAMES + GIVEN_NAMES, _ROMANISED.split(), strict=True))
ENGLISH_NAMES = (
    "Daniel Brooks",
    "Priya Nair",
    "Laura Schmidt",
    "Tom Becker",
    "Aiko Tanaka",
    "Sofia Rossi",
    "James O'Neill",
    "Mei Chen",
    "Carlos Vega",
    "Hannah Lewis",
    "Oliver Grant",
    "Nadia Haddad",
    "Ethan Park",
    "Julia Novak",
    "Marco Silva",
    "Grace Kim",
)
DEVICES = ("갤럭시 S25", "갤럭시 A36", "iPhone 16", "iPhone 15 Pro", "갤럭시 탭 S10", "Pixel 9")
BROWSERS = ("Chrome 142", "Edge 142", "웨일 4.34", "Safari 26", "Firefox 145")
GREETINGS = {
    "ko": (
        "안녕하세요.",
        "안녕하세요, {company} {name}입니다.",
        "수고 많으십니다. {company}입니다.",
        "안녕하세요, 담당자님.",
        "",
    ),
    "en": ("Hi,", "Hello,", "Dear Ondam team,", "Hi there,", ""),
}
CLOSINGS = {
    "ko": (
        "확인 부탁드립니다.",
        "빠른 답변 부탁드려요.",
        "감사합니다.",
        "번거로우시겠지만 확인 부탁드립니다.",
        "답변 기다리겠습니다.",
    ),
    "en": ("Thanks in advance.", "Please help.", "Looking forward to your answer.", "Thanks!", "Best regards"),
}
ASIDES = {
    "ko": (
        "도움말을 찾아봤는데 잘 모르겠습니다.",
        "이번 주 안에 정리해야 해서 문의드립니다.",
        "지난번에도 친절하게 알려 주셔서 다시 문의드려요.",
        "통화가 필요하시면 오후에 연락 주세요.",
        "",
        "",
    ),
    "en": (
        "I looked through the help pages but could not find it.",
        "We would like to settle this within the week.",
        "You can call me in the afternoon if that is easier.",
        "",
        "",
    ),
}
"""What is added to a question."""
DETAILS = {
    "ko": (
        "어제까지는 문제없이 사용했습니다.",
        "다른 PC에서도 똑같습니다.",
        "캡처 화면 필요하시면 말씀해 주세요.",
        "저희 쪽에서는 바꾼 것이 없습니다.",
        "직원들도 같은 문제를 겪고 있어요.",
        "지난번에도 비슷한 문제로 문의드린 적이 있습니다.",
        "고객사 항의가 들어오고 있어서 급합니다.",
        "",
        "",
    ),
    "en": (
        "It worked until yesterday.",
        "It is the same on another computer.",
        "I can send a screenshot if you need one.",
        "We did not change anything on our side.",
        "My colleagues have the same problem.",
        "This is urgent for us.",
        "",
        "",
    ),
}
"""What is added when something is broken."""
THANKS = {
    "ko": (
        "알려 주신 대로 하니 해결됐습니다. 감사합니다!",
        "네 잘 됩니다. 빠른 처리 감사드려요.",
        "확인했습니다. 좋은 하루 되세요.",
        "감사합니다. 추가로 문제가 생기면 다시 연락드릴게요.",
        "해결됐어요~ 감사합니다 ^^",
    ),
    "en": (
        "That solved it, thank you!",
        "Works now. Thanks for the quick help.",
        "Great, you can close this ticket.",
        "Confirmed, many thanks.",
    ),
}
STILL = {
    "ko": (
        "안내해 주신 대로 했는데 아직 안 됩니다. 다시 확인 부탁드립니다.",
        "답변 감사합니다. 그런데 저희 쪽에서는 아직 똑같습니다. 한 번만 더 봐 주세요.",
    ),
    "en": (
        "I followed your answer but nothing has changed yet.",
        "Thanks, but it is still the same here. Can you look again?",
    ),
}
FURTHER = {
    "ko": (
        (
            "번거롭게 해 드려 죄송합니다. 담당 부서에서 다시 확인한 결과 반영이 늦어지고 있어 "
            "방금 직접 처리했습니다. 한 시간 뒤에 다시 확인해 주세요."
        ),
        (
            "불편을 드려 죄송합니다. 확인을 위해 화면을 캡처해 보내 주시면 바로 살펴보겠습니다. "
            "그동안 저희도 기록을 다시 확인하겠습니다."
        ),
    ),
    "en": (
        (
            "Sorry for the trouble. Our specialists looked again and applied it by hand; please "
            "check once more in an hour."
        ),
        "I am sorry about that. Could you send a screenshot? Meanwhile we go through our logs again.",
    ),
}
AWAY = {
    "ko": "[자동응답] 안녕하세요. {date}까지 휴가로 메일 확인이 어렵습니다. 급한 용무는 대표번호로 연락 부탁드립니다.",
    "en": "Automatic reply: I am out of the office until {date} with limited access to email.",
}
