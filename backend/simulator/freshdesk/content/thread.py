"""Threads that were written from beginning to end, and what else comes to a help desk."""

from dataclasses import dataclass
from typing import Literal

from backend.simulator.freshdesk.content.family import Area, Language

Who = Literal["customer", "agent", "note", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    language: Language
    area: Area
    subject: str
    text: str
    messages: tuple[tuple[Who, str], ...]
    status: int = 4
    priority: int = 2
    tags: tuple[str, ...] = ()
    kind: str = "Incident"
    file: str | None = None
    """The name of a file that the customer sent."""


THREADS = (
    Thread(
        language="ko",
        area="developer",
        subject="[장애] 결제 완료 웹훅 2시간 지연 - 원인 보고 요청",
        text=(
            "안녕하세요, 누리전자 개발팀 오현우입니다.\n"
            "금일 09:10부터 11:05까지 order.paid 웹훅이 최대 2시간 늦게 도착했습니다. 이 시간 "
            "동안 주문 412건의 출고 지시가 늦어졌습니다.\n"
            "원인과 재발 방지 대책을 서면으로 받고 싶습니다. 로그 첨부합니다."
        ),
        messages=(
            (
                "note",
                "상태판 확인: 09:08 큐 소비자 배포 롤백 있었음. 플랫폼팀에 원인 문의(PLT-5521). 고객 영향 412건 맞음.",
            ),
            (
                "agent",
                (
                    "큰 불편을 드려 죄송합니다. 09:08에 배포한 웹훅 전송 모듈에 오류가 있어 대기열이 "
                    "밀렸고, 10:52에 이전 버전으로 되돌려 11:05에 모두 전송했습니다. 유실된 이벤트는 "
                    "없습니다.\n"
                    "상세 보고서는 내일 오전까지 보내 드리겠습니다."
                ),
            ),
            (
                "customer",
                (
                    "유실이 없다고 하셨는데 저희 기준으로 3건이 없습니다. 이벤트 ID는 evt_77120, "
                    "evt_77121, evt_77145 입니다."
                ),
            ),
            (
                "note",
                "3건 모두 고객 서버가 HTTP 409 응답. 우리 쪽 재시도 로그 있음. 고객 중복 처리 로직이 409를 주는 듯.",
            ),
            (
                "agent",
                (
                    "세 이벤트는 11:01~11:03에 전송했고 고객님 서버에서 409를 응답한 기록이 있습니다. "
                    "이미 처리한 event_id에 409 대신 200을 응답하도록 바꿔 주시면 실패로 집계되지 "
                    "않습니다.\n"
                    "세 건은 방금 다시 전송해 드렸습니다."
                ),
            ),
            ("customer", "확인했습니다. 저희 쪽 중복 검사에 문제가 있었네요. 보고서 받으면 종료하겠습니다."),
            (
                "agent",
                (
                    "원인 보고서를 첨부합니다. 재발 방지로 배포 전 부하 시험과 대기열 지연 경보(5분)를 "
                    "추가했습니다. 다시 한번 사과드립니다."
                ),
            ),
            ("customer", "빠른 대응 감사합니다. 종료해 주세요."),
        ),
        priority=4,
        tags=("webhook", "outage", "postmortem"),
        file="webhook-delay.log.txt",
    ),
    Thread(
        language="en",
        area="developer",
        subject="Migrating 40k orders from our old system: which API?",
        text=(
            "Hello,\n"
            "We move from a home-grown system to Ondam next month and have to import about 40,000 "
            "historic orders with their delivery status. The bulk API takes 200 at a time and 300 "
            "calls a minute. Is there a better way, and will webhooks fire for each of them?"
        ),
        messages=(
            (
                "agent",
                (
                    "Good plan to ask first. Use POST /v1/imports with an NDJSON file of up to 50,000 "
                    "lines: it runs in the background, does not count against the call limit, and fires "
                    "no webhooks.\n"
                    "1. Create the import with mode=validate and read the report.\n"
                    "2. Run it again with mode=apply.\n"
                    "3. Give every line your own external_id; lines that were imported before are "
                    "skipped."
                ),
            ),
            ("customer", "Perfect. Are original timestamps kept? We need them for our yearly statistics."),
            (
                "agent",
                (
                    "Yes: ordered_at and shipped_at are taken as they are, if they have a time zone. "
                    "Without one we read them as Korean time."
                ),
            ),
            (
                "note",
                "Imports endpoint is in beta; workspace flag `bulk_import` switched on for Northwind until 12/31.",
            ),
            ("customer", "Validation passed with 3 bad lines, applied without trouble. Thanks, that was painless."),
        ),
        tags=("api", "import", "migration"),
        kind="Question",
    ),
    Thread(
        language="ko",
        area="billing",
        subject="세금계산서 이중 발행으로 부가세 신고가 꼬였습니다",
        text=(
            "바른먹거리연구소 경리팀입니다.\n"
            "9월분 이용료를 카드로 결제했는데 세금계산서도 발행되어 있습니다. 홈택스에 매입이 두 "
            "번 잡혀서 신고가 안 됩니다. 10일까지 신고해야 하니 오늘 중으로 처리해 주세요.\n"
            "사업자등록증 첨부합니다."
        ),
        messages=(
            (
                "note",
                (
                    "9/30 자동 발행 배치가 카드 결제 건을 제외하지 못함(BIL-772). 동일 증상 고객 14곳. "
                    "재무팀 일괄 취소 요청함."
                ),
            ),
            (
                "agent",
                (
                    "불편을 드려 죄송합니다. 카드 결제 건에는 세금계산서가 발행되지 않아야 하는데 시스템 "
                    "오류로 함께 발행되었습니다.\n"
                    "계약의 해제 사유로 수정세금계산서(마이너스)를 오늘 발행하겠습니다. 홈택스에는 내일 "
                    "오전에 반영됩니다."
                ),
            ),
            ("customer", "내일 반영되면 10일 신고에는 문제없는 건가요? 작성일자가 9월 30일로 되어야 합니다."),
            (
                "agent",
                (
                    "네, 착오에 의한 이중 발급이므로 작성일자는 당초와 같은 9월 30일로 발행됩니다. "
                    "승인번호를 내일 오전에 회신드리겠습니다."
                ),
            ),
            (
                "agent",
                (
                    "수정세금계산서가 발행되었습니다. 홈택스 [조회/발급 > 수정발급 내역]에서 확인하실 수 "
                    "있습니다. 같은 일이 없도록 자동 발행 기능을 고쳤습니다."
                ),
            ),
            ("customer", "확인했습니다. 신고 마쳤습니다. 감사합니다."),
        ),
        status=5,
        priority=3,
        tags=("tax-invoice", "billing"),
        file="사업자등록증.pdf",
    ),
    Thread(
        language="ko",
        area="order",
        subject="합포장 설정이 갑자기 풀렸어요",
        text=(
            "스튜디오 여름 한소영이에요.\n"
            "같은 고객이 여러 개 주문하면 한 박스로 묶이던 게 오늘부터 따로따로 송장이 나와요. "
            "택배비가 두 배로 나가게 생겼어요 ㅠㅠ"
        ),
        messages=(
            ("agent", "놀라셨겠어요. 합포장 기준을 확인하려고 하니 묶이지 않은 주문번호 두 개만 알려 주세요."),
            ("customer", "ORD-20261104-0031 이랑 ORD-20261104-0032 요. 같은 분이에요."),
            (
                "note",
                (
                    "두 주문 주소가 '101동 1203호'와 '101-1203'으로 다름. 주소 정규화가 11/3 배포 후 꺼진 "
                    "워크스페이스(플래그 addr_norm). 켜 줌."
                ),
            ),
            (
                "agent",
                (
                    "두 주문의 주소 표기가 달라(101동 1203호 / 101-1203) 다른 곳으로 인식되었습니다. 주소 "
                    "자동 정리 기능이 업데이트 중 꺼져 있어 다시 켜 드렸습니다.\n"
                    "1. [주문 > 합포장 다시 계산]을 누르면 오늘 주문부터 다시 묶입니다.\n"
                    "2. 이미 출력한 송장은 '송장 취소' 후 다시 출력해 주세요. 집화 전이라 비용은 "
                    "없습니다."
                ),
            ),
            ("customer", "다시 계산하니까 묶였어요! 감사합니다 :)"),
        ),
        tags=("order", "bundle"),
        kind="Problem",
    ),
    Thread(
        language="en",
        area="billing",
        subject="Re: Re: Refund still missing after three weeks",
        text=(
            "This is my fourth email. You promised the refund of KRW 297,000 on 14 October. My "
            "bank says no reversal was ever sent. If I do not hear back I will dispute the "
            "charge. My card is 4111 1111 1111 1111."
        ),
        messages=(
            (
                "note",
                (
                    "PG shows the cancellation failed with 'settlement already closed' on 10/16, nobody "
                    "noticed. Needs a manual bank transfer, approval by 김하린 (297,000 is below 500,000, "
                    "team lead can approve)."
                ),
            ),
            (
                "agent",
                (
                    "I am sorry, you are right: the cancellation failed at the payment provider since the "
                    "settlement was closed, and we missed that.\n"
                    "We refund by bank transfer instead. Please send the account holder's name, bank and "
                    "account number. Please never write a full card number in an email; I removed it from "
                    "the ticket."
                ),
            ),
            ("customer", "Account holder Laura Schmidt, Woori, 1002-123-456789. How long does it take this time?"),
            (
                "agent",
                (
                    "The transfer was approved and leaves today; it arrives within two working days. I "
                    "added one free month for the trouble."
                ),
            ),
            ("customer", "Received this morning. Thank you for finally sorting it out."),
        ),
        priority=4,
        tags=("refund", "escalated"),
        kind="Refund",
    ),
    Thread(
        language="ko",
        area="access",
        subject="퇴사자가 아직 로그인하는 것 같습니다",
        text=(
            "해오름무역입니다.\n"
            "지난달 퇴사한 직원의 아이디로 어제 밤 11시에 접속한 기록이 있습니다. 고객 목록을 "
            "내려받은 흔적도 있어요. 당장 막아 주시고 기록을 보내 주세요."
        ),
        messages=(
            (
                "note",
                (
                    "보안팀 호출(#sec-help). 세션 3개 강제 종료, 계정 비활성화. 내보내기 기록: 고객 목록 "
                    "1회(2,310행) 23:07, IP 198.51.100.77."
                ),
            ),
            (
                "agent",
                (
                    "해당 계정의 접속을 모두 종료하고 비활성화했습니다. 어젯밤 23:07에 고객 목록 1건이 "
                    "내보내기 되었고 접속 기록을 첨부합니다.\n"
                    "1. API 키와 연동 앱도 같은 직원이 만든 것이 있으면 폐기해 주세요: [개발자 > API 키].\n"
                    "2. 다른 직원의 비밀번호를 바꾸고 2단계 인증을 필수로 설정해 주세요.\n"
                    "3. 개인정보 유출이 확인되면 72시간 안에 신고하셔야 합니다. 필요한 기록은 저희가 "
                    "제공합니다."
                ),
            ),
            ("customer", "API 키 하나가 그 직원 명의라 폐기했습니다. 기록 잘 받았습니다. 신고 절차 진행하겠습니다."),
            ("agent", "네, 추가 기록이 필요하시면 언제든 말씀해 주세요. 접속 기록은 1년 동안 보관됩니다."),
        ),
        status=3,
        priority=4,
        tags=("security", "leak"),
        file="access-log.txt",
    ),
    Thread(
        language="ko",
        area="app",
        subject="사진이 안 올라가요 (mixed language / 영어도 가능)",
        text=(
            "Hi 안녕하세요, Blue Harbor의 Mei Chen 입니다.\n"
            "상품 이미지 upload 하면 IMG-05 error가 나와요. Photoshop에서 CMYK로 export 했는데 "
            "혹시 그게 문제인가요?\n"
            "English reply도 괜찮습니다."
        ),
        messages=(
            (
                "agent",
                (
                    "네, 말씀하신 것이 맞습니다. CMYK 이미지는 지원하지 않아 IMG-05가 표시됩니다.\n"
                    "Please export again with RGB (sRGB) as JPG or PNG, up to 10 MB. 색상이 조금 달라 "
                    "보일 수 있으니 미리보기로 확인해 주세요."
                ),
            ),
            ("customer", "RGB로 바꾸니까 바로 됐어요. Thanks a lot!"),
        ),
        tags=("image", "IMG-05"),
    ),
    Thread(
        language="ko",
        area="developer",
        subject="ERP 연동 중 E-1203, E-1042 가 번갈아 발생",
        text=(
            "그린핏스포츠 전산팀입니다.\n"
            "재고 연동 배치가 새벽마다 실패합니다. 로그를 보면 E-1203 이 나오다가 어떤 날은 "
            "E-1042 가 나옵니다. 서버는 두 대(이중화)이고 NAT 뒤에 있습니다."
        ),
        messages=(
            (
                "agent",
                (
                    "두 오류는 원인이 다를 수 있습니다. 실패한 요청의 X-Request-Id와 두 서버의 공인 IP, "
                    "현재 시각(date 명령 결과)을 알려 주세요."
                ),
            ),
            (
                "customer",
                (
                    "req_aa01, req_aa02 이고 공인 IP는 198.51.100.10 과 198.51.100.11 입니다. 두 번째 "
                    "서버가 6분 느리네요..."
                ),
            ),
            ("note", "허용 IP에 .10만 등록됨 → .11에서 나갈 때 E-1203. 시계 느린 서버가 .10으로 나가면 E-1042."),
            (
                "agent",
                (
                    "원인이 두 가지입니다.\n"
                    "- 허용 IP에 198.51.100.10만 등록되어 있어 198.51.100.11에서 나가는 요청은 E-1203이 "
                    "됩니다. [개발자 > API 키 > 허용 IP]에 추가해 주세요.\n"
                    "- 두 번째 서버의 시계가 6분 느려 E-1042가 됩니다. chrony로 시간을 맞춰 주세요.\n"
                    "두 가지를 고치시면 번갈아 나던 오류가 모두 사라집니다."
                ),
            ),
            ("customer", "둘 다 조치했고 오늘 새벽 배치는 정상입니다. 감사합니다."),
        ),
        priority=3,
        tags=("api", "E-1203", "E-1042"),
    ),
)
SPAM = (
    ("★☆ 대출 한도 조회 무료 ☆★", "무직자도 당일 3천만원! 아래 링크에서 바로 확인하세요. http://loan.example/apply"),
    (
        "Boost your SEO ranking to #1",
        "Dear webmaster, we guarantee the first page of search results in 7 days. Reply for a quote.",
    ),
    ("[광고] 단체 도시락 특가", "사무실 점심 단체 도시락 1인 5,900원부터! 상담 환영합니다."),
    (
        "Your mailbox is almost full",
        "Verify your account within 24 hours to avoid suspension: http://mail-verify.example/login",
    ),
    ("Re: Invoice overdue", "Kindly see the attached invoice and remit payment to our new bank account today."),
    ("정품 인증 골프채 90% 할인", "연말 한정 수량! 지금 주문하시면 골프공 증정. http://golf.example"),
)
DELETED = (
    ("테스트", "테스트 문의입니다. 무시해 주세요."),
    ("asdf", "asdf"),
    ("문의 잘못 보냈습니다", "다른 회사에 보내려던 메일입니다. 삭제 부탁드립니다."),
    ("Test ticket from the widget", "Please ignore, we are testing the widget on our site."),
)
MERGED = (
    (
        "로그인이 계속 안 됩니다 (재문의)",
        "아까 문의드린 로그인 건인데 답이 없어 다시 보냅니다. 주문 처리를 못 하고 있어요.",
    ),
    ("Re: 이용료 중복 결제 추가 자료", "앞서 보낸 중복 결제 문의에 카드 명세서를 빠뜨려 다시 보냅니다."),
    (
        "Same issue again: webhook",
        "Sending this again since I used the wrong address before. Webhooks are still stopped.",
    ),
    ("앱 강제종료 추가 문의", "아까 문의한 앱 꺼짐 관련해서 기종이 하나 더 있어 추가로 남깁니다."),
)
