"""The knowledge base: categories, folders within folders, articles. Lines as in `family.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Folder:
    key: str
    category: int
    parent: str | None
    name: str
    name_en: str | None
    visibility: int
    """1 everybody, 2 who is logged in, 3 agents, 4 selected companies, 5 bots, 6 and 7 segments."""


@dataclass(frozen=True, slots=True)
class Article:
    folder: str
    title: str
    text: str
    tags: tuple[str, ...] = ()
    title_en: str | None = None
    text_en: str | None = None
    draft: bool = False
    file: str | None = None
    """The name of a file that hangs on it."""


CATEGORIES = (
    ("이용 안내", "User guide", "온담을 시작하고 매일 사용하는 방법"),
    ("결제와 정책", "Billing and policies", "요금, 결제, 환불과 계약"),
    ("개발자와 운영", "Developers and operations", "API, 웹훅, 오류 코드와 운영 지침"),
)
FOLDERS = (
    Folder("account", 0, None, "로그인과 계정", "Signing in and accounts", 1),
    Folder("security", 0, "account", "보안과 SSO", "Security and SSO", 2),
    Folder("order", 0, None, "주문과 배송", "Orders and delivery", 1),
    Folder("label", 0, "order", "송장과 출력", "Labels and printing", 1),
    Folder("app", 0, None, "앱과 화면", "App and screens", 1),
    Folder("billing", 1, None, "요금과 결제", "Plans and payments", 1),
    Folder("refund", 1, "billing", "환불 규정", "Refunds", 2),
    Folder("partner", 1, None, "제휴사 전용 요금", None, 4),
    Folder("vip", 1, None, "VIP 고객 안내", None, 6),
    Folder("enterprise", 1, None, "기업 고객 안내", None, 7),
    Folder("api", 2, None, "API", "API", 1),
    Folder("webhook", 2, "api", "웹훅", "Webhooks", 1),
    Folder("errors", 2, "webhook", "오류 코드", "Error codes", 1),
    Folder("bot", 2, None, "상담봇 답변", None, 5),
    Folder("internal", 2, None, "내부 운영 지침", None, 3),
    Folder("runbook", 2, "internal", "런북", None, 3),
)
ARTICLES = (
    Article(
        "account",
        "비밀번호 재설정 메일이 오지 않을 때",
        (
            "비밀번호 재설정 메일은 보통 1분 안에 도착합니다. 오지 않으면 아래를 확인해 주세요.\n"
            "1. 스팸함과 '프로모션' 보관함을 확인합니다.\n"
            "2. 회사 메일이라면 메일 관리자에게 no-reply@ondam.example 을 허용 발신자로 등록해 "
            "달라고 요청합니다.\n"
            "3. 로그인 화면의 '비밀번호 찾기'에서 다시 요청합니다. 링크는 30분 동안 유효하고, "
            "다시 요청하면 이전 링크는 쓸 수 없습니다.\n"
            "그래도 오지 않으면 고객지원에 가입 메일과 요청 시각을 알려 주세요. 수신 거부 "
            "목록에서 해제해 드립니다."
        ),
        ("login", "password"),
        "When the password reset email does not arrive",
        (
            "A reset email usually arrives within a minute.\n"
            "1. Look into the spam folder.\n"
            "2. With a company address, ask your mail administrator to allow "
            "no-reply@ondam.example.\n"
            "3. Request it again. The link is valid for 30 minutes and a new request cancels the "
            "earlier ones.\n"
            "If nothing helps, tell us your login and the time of the request; we remove the "
            "block."
        ),
    ),
    Article(
        "account",
        "계정이 잠겼을 때 (E-1101)",
        (
            "비밀번호를 5회 연속 잘못 입력하면 계정이 30분 동안 잠기고 E-1101이 표시됩니다.\n"
            "- 30분이 지나면 자동으로 풀립니다.\n"
            "- 급하면 워크스페이스 관리자가 [설정 > 사용자 > 잠금 해제]로 바로 풀 수 있습니다.\n"
            "- 시도하지 않았는데 잠겼다면 [설정 > 보안 > 최근 접속]을 확인하고 비밀번호를 바꿔 "
            "주세요."
        ),
        ("login", "locked", "E-1101"),
        "Account locked (E-1101)",
        (
            "After five wrong passwords in a row an account is locked for 30 minutes with E-1101.\n"
            "- It opens by itself after 30 minutes.\n"
            "- An administrator can unlock it at once under Settings > Users.\n"
            "- If it was not you, check Settings > Security > Recent sign-ins and change the "
            "password."
        ),
    ),
    Article(
        "account",
        "직원 초대와 역할",
        (
            "[설정 > 사용자 > 초대]에서 메일 주소와 역할을 고릅니다.\n"
            "- 관리자: 모든 메뉴와 결제\n"
            "- 운영: 주문, 상품, 고객\n"
            "- 창고: 주문 조회와 송장 출력 (매출과 정산은 보이지 않음)\n"
            "초대 링크는 72시간 동안 유효합니다. 스타터 요금제는 3명까지이며 대기 중인 초대도 "
            "포함됩니다."
        ),
        ("users", "invitation"),
        "Inviting users and their roles",
        (
            "Choose Settings > Users > Invite.\n"
            "- Administrator: everything, and billing\n"
            "- Operator: orders, products, customers\n"
            "- Warehouse: orders and labels only\n"
            "Invitations are valid for 72 hours. Starter has three users, pending invitations "
            "included."
        ),
    ),
    Article(
        "account",
        "워크스페이스 소유자 변경",
        (
            "소유자는 [설정 > 워크스페이스 > 소유자 이전]에서 다른 관리자에게 넘길 수 있습니다.\n"
            "기존 소유자가 로그인할 수 없으면 사업자등록증과 소유자 변경 신청서를 고객지원으로 "
            "보내 주세요. 영업일 1일 안에 처리됩니다.\n"
            "결제 카드는 이전되지 않으므로 새 소유자가 다시 등록해야 합니다."
        ),
        ("account", "owner"),
        file="소유자_변경_신청서.docx",
    ),
    Article(
        "account",
        "로그인 화면이 반복될 때",
        (
            "로그인한 뒤 다시 로그인 화면으로 돌아온다면 브라우저가 로그인 쿠키를 지우고 있는 "
            "것입니다.\n"
            "1. ondam.example 의 쿠키를 삭제합니다.\n"
            "2. 광고·쿠키 차단 확장 프로그램에서 *.ondam.example 을 예외로 등록합니다.\n"
            "3. 서드파티 쿠키를 차단했다면 login.ondam.example 을 허용합니다.\n"
            "자동 로그아웃 시간은 [설정 > 보안 > 세션]에서 바꿀 수 있습니다."
        ),
        ("login", "browser"),
        "When the sign-in page comes back again and again",
        (
            "Your browser deletes the session cookie.\n"
            "1. Clear the cookies of ondam.example.\n"
            "2. Make *.ondam.example an exception of ad and cookie blockers.\n"
            "3. Allow login.ondam.example if third-party cookies are blocked."
        ),
    ),
    Article(
        "security",
        "2단계 인증 설정과 초기화",
        (
            "[설정 > 보안 > 2단계 인증]에서 인증 앱으로 QR 코드를 스캔합니다. 복구 코드 10개를 꼭 "
            "보관해 주세요.\n"
            "휴대폰을 잃어버렸을 때:\n"
            "- 복구 코드가 있으면 로그인 화면에서 '복구 코드 사용'을 누릅니다.\n"
            "- 없으면 소유자의 메일로 고객지원에 사업자등록증을 보내 초기화를 요청합니다. "
            "전화로는 초기화하지 않습니다."
        ),
        ("2fa", "security"),
        "Two-factor authentication: set-up and reset",
        (
            "Scan the QR code under Settings > Security > Two-factor and keep the ten recovery "
            "codes.\n"
            "- With a recovery code choose 'Use a recovery code' when signing in.\n"
            "- Without one, the owner writes to support with the business registration. We do not "
            "reset by telephone."
        ),
    ),
    Article(
        "security",
        "SSO(SAML) 설정과 오류",
        (
            "비즈니스 요금제부터 Okta, Google Workspace, Microsoft Entra ID로 로그인할 수 "
            "있습니다.\n"
            "1. [설정 > 보안 > SSO]의 엔티티 ID와 ACS URL(https://login.ondam.example/saml/acs)을 "
            "IdP에 등록합니다.\n"
            "2. IdP의 메타데이터를 같은 화면에 올립니다.\n"
            "3. 테스트 로그인이 성공하면 'SSO 필수'를 켭니다.\n"
            "오류\n"
            "- SAML-04 invalid audience: IdP의 Audience가 화면의 엔티티 ID와 다릅니다. 2026년 3월 "
            "이전에 설정했다면 옛 주소일 수 있습니다.\n"
            "- SAML-07 bad signature: IdP 인증서가 바뀌었습니다. 새 인증서를 올리고 '이전 "
            "인증서도 함께 허용'을 켭니다."
        ),
        ("sso", "saml"),
        "SSO (SAML): set-up and errors",
        (
            "From the Business plan on you can sign in with Okta, Google Workspace or Microsoft "
            "Entra ID.\n"
            "1. Register the Entity ID of Settings > Security > SSO and the ACS URL "
            "https://login.ondam.example/saml/acs at your identity provider.\n"
            "2. Upload its metadata.\n"
            "3. Make SSO mandatory after a successful test.\n"
            "Errors\n"
            "- SAML-04 invalid audience: the Audience differs from the Entity ID; set-ups from "
            "before March 2026 have the old address.\n"
            "- SAML-07 bad signature: the certificate was rotated; upload the new one and accept "
            "both for a day."
        ),
    ),
    Article(
        "security",
        "개인정보 열람·삭제 요청",
        (
            "개인정보 열람, 정정, 삭제는 privacy@ondam.example 로 요청하실 수 있고 접수일부터 "
            "10일 이내에 답해 드립니다.\n"
            "거래 기록은 전자상거래법에 따라 5년 동안 분리 보관합니다. 본인 확인에 주민등록번호를 "
            "요구하지 않으니 보내지 말아 주세요."
        ),
        ("privacy",),
    ),
    Article(
        "order",
        "주문이 수집되지 않을 때 (SYNC-401)",
        (
            "SYNC-401은 판매 채널의 인증이 끊겼을 때 표시됩니다. 마켓 비밀번호를 바꾸거나 90일이 "
            "지나면 끊깁니다.\n"
            "1. [판매 채널 > 다시 연동]에서 마켓에 로그인합니다.\n"
            "2. '누락 주문 재수집'에서 최근 7일을 선택합니다. 이미 있는 주문은 중복되지 않습니다.\n"
            "3. [알림 > 수집 중단 알림]을 켜면 30분 이상 수집이 멈출 때 알려 드립니다."
        ),
        ("order-sync", "SYNC-401"),
        "When orders are not collected (SYNC-401)",
        (
            "SYNC-401 means that the connection to a marketplace ended: its password changed, or "
            "90 days passed.\n"
            "1. Sales channels > Reconnect.\n"
            "2. Collect missing orders for the last 7 days; nothing is taken twice.\n"
            "3. Switch on the alert for stopped collecting."
        ),
    ),
    Article(
        "order",
        "배송 상태가 바뀌지 않을 때",
        (
            "온담은 택배사의 배송 상태를 30분마다 가져옵니다.\n"
            "- 바로 확인하려면 주문 상세에서 '배송 상태 새로고침'을 누릅니다.\n"
            "- 출고 후 24시간이 지나도 '정보 없음'이면 집화 스캔이 누락된 것입니다. [배송 > "
            "미집화 목록 > 택배사 확인 요청]을 눌러 주세요.\n"
            "- 송장번호는 약 1년 뒤 재사용되어 오래된 주문에서 다른 배송이 보일 수 있습니다."
        ),
        ("delivery", "tracking"),
        "When the delivery status does not change",
        (
            "We read the carrier's status every 30 minutes.\n"
            "- 'Refresh delivery status' does it at once.\n"
            "- 24 hours without information: the pick-up was not scanned; choose Delivery > Not "
            "picked up > Ask the carrier."
        ),
    ),
    Article(
        "order",
        "배송지 변경과 반송",
        (
            "- 집화 전: 주문 상세에서 '배송지 수정' 후 송장을 다시 출력합니다.\n"
            "- 집화 후: [배송 > 배송지 변경 요청], 건당 3,000원이 부과됩니다.\n"
            "- 반송: '재발송'을 누르면 새 송장이 발급됩니다. 주소 오류로 인한 운임은 판매자가 "
            "부담합니다."
        ),
        ("delivery", "address"),
    ),
    Article(
        "order",
        "반품과 교환 처리",
        (
            "1. 주문 상세에서 '반품 접수' 또는 '교환 접수'를 누르고 사유를 고릅니다.\n"
            "2. 회수 송장이 자동으로 발급되고 2영업일 안에 기사님이 방문합니다.\n"
            "3. 회수 완료 후 '검수 완료'를 누르면 환불 또는 교환 출고가 진행됩니다.\n"
            "단순 변심은 구매자, 불량과 오배송은 판매자가 배송비를 부담합니다. 금액은 [설정 > "
            "배송 > 반품·교환]에서 정합니다."
        ),
        ("return", "exchange"),
        "Returns and exchanges",
        (
            "1. Choose 'Register return' or 'Register exchange' on the order.\n"
            "2. A return label is made and the courier comes within two working days.\n"
            "3. 'Inspection done' starts the refund or the new delivery.\n"
            "The buyer pays for a change of mind, the seller for defects."
        ),
    ),
    Article(
        "order",
        "재고가 실제와 다를 때",
        (
            "같은 SKU에 옵션이 두 번 연결되면 재고가 두 번 차감됩니다.\n"
            "1. [상품 > 옵션 연결]에서 'SKU 중복'으로 거릅니다.\n"
            "2. 중복 연결을 해제합니다.\n"
            "3. [재고 > 실사 반영]에 실제 수량을 입력합니다.\n"
            "마켓 재고는 최대 10분 뒤에 맞춰지므로 안전 재고를 2개 이상 두는 것이 좋습니다."
        ),
        ("stock",),
    ),
    Article(
        "order",
        "상품 대량등록 양식 v5 (UPL-12)",
        (
            "2026년 10월부터 양식이 v5로 바뀌어 '과세구분' 열이 필수입니다. 이전 양식을 올리면 "
            "UPL-12가 표시됩니다.\n"
            "- .xlsx 형식, 한 번에 5,000행까지\n"
            "- '선택 열만 수정'으로 가격이나 재고만 바꿀 수 있습니다.\n"
            "- 실패한 행은 '오류 파일'로 내려받아 고친 뒤 다시 올립니다."
        ),
        ("upload", "excel", "UPL-12"),
        "Bulk upload template v5 (UPL-12)",
        (
            "Since October 2026 the column 'Tax type' is required; earlier templates fail with "
            "UPL-12.\n"
            "- .xlsx, up to 5,000 rows\n"
            "- 'Only these columns' changes prices or stock alone.\n"
            "- Failed rows can be downloaded, corrected and uploaded again."
        ),
    ),
    Article(
        "order",
        "해외 배송과 개인통관고유부호",
        (
            "통관 보류는 개인통관고유부호와 수취인의 이름·전화번호가 관세청 등록 정보와 다를 때 "
            "생깁니다.\n"
            "1. 구매자에게 등록 정보를 확인하도록 안내합니다.\n"
            "2. 주문 상세의 '통관 정보 수정'에 입력하면 특송업체로 전달됩니다.\n"
            "3. 이미 입항한 건은 특송업체에 직접 정정을 요청해야 합니다."
        ),
        ("customs", "overseas"),
    ),
    Article(
        "label",
        "송장 출력 오류 (PRT-03)와 출력 도우미",
        (
            "PRT-03은 온담 출력 도우미가 꺼져 있거나 오래된 버전일 때 표시됩니다.\n"
            "1. [설정 > 출력]에서 출력 도우미 2.4.1 이상을 설치합니다.\n"
            "2. 라벨 프린터를 기본 프린터로 지정합니다.\n"
            "3. 용지 100x150mm, 여백 0으로 맞추고 테스트 라벨을 출력합니다.\n"
            "백지가 나오면 드라이버가 'Generic / Text Only'인지 확인해 주세요."
        ),
        ("label", "printer", "PRT-03"),
        "Label printing: PRT-03 and the print helper",
        (
            "PRT-03 means that the print helper is not running or too old.\n"
            "1. Install version 2.4.1 or later from Settings > Printing.\n"
            "2. Make the label printer the default.\n"
            "3. 100 x 150 mm, no margins, then print a test label.\n"
            "Blank labels: the driver is 'Generic / Text Only'."
        ),
        file="라벨_위치_보정_안내.pdf",
    ),
    Article(
        "label",
        "송장 위치 보정",
        (
            "[설정 > 출력 > 위치 보정]에서 좌우·상하를 1mm 단위로 옮길 수 있습니다. 라벨이 위로 "
            "밀리면 프린터의 용지 감지(캘리브레이션)를 먼저 실행해 주세요. 대부분의 감열 프린터는 "
            "급지 버튼을 5초 누르면 됩니다."
        ),
        ("label",),
    ),
    Article(
        "app",
        "앱이 강제 종료될 때",
        (
            "앱 5.2.0은 안드로이드 15에서 종료되는 문제가 있어 5.2.1에서 고쳤습니다.\n"
            "1. 스토어에서 5.2.1 이상으로 업데이트합니다.\n"
            "2. 보이지 않으면 스토어 앱의 캐시를 지웁니다.\n"
            "3. 급할 때는 m.ondam.example 을 이용해 주세요."
        ),
        ("mobile", "crash"),
        "When the app crashes",
        (
            "Version 5.2.0 crashes on Android 15; 5.2.1 has the fix. Update in the store, or use "
            "m.ondam.example meanwhile."
        ),
    ),
    Article(
        "app",
        "푸시 알림이 오지 않을 때",
        (
            "휴대폰의 절전 기능이 앱을 재우면 알림이 늦게 옵니다.\n"
            "1. 배터리 설정에서 온담을 절전 예외로 추가합니다.\n"
            "2. 앱의 [더보기 > 알림 > 알림 다시 등록]을 누릅니다.\n"
            "3. 아이폰은 집중 모드에서 온담을 허용합니다."
        ),
        ("mobile", "notification"),
        "When push notifications do not arrive",
        (
            "Exclude Ondam from battery optimisation, choose More > Notifications > Register "
            "again, and on an iPhone allow it in Focus."
        ),
    ),
    Article(
        "app",
        "바코드 스캔 설정",
        (
            "- 스캔할 바코드 종류만 선택하면 빨라집니다: [더보기 > 스캔 > 바코드 종류]\n"
            "- 블루투스 스캐너는 HID(키보드) 모드만 지원합니다.\n"
            "- 같은 바코드를 쓰는 상품은 [상품 > 바코드 점검]에서 찾을 수 있습니다."
        ),
        ("mobile", "barcode"),
    ),
    Article(
        "app",
        "내보내기: 한글 깨짐과 행 수 제한 (EXP-08)",
        (
            "- 엑셀에서 한글이 깨지면 'CSV(엑셀용)' 또는 .xlsx를 선택합니다.\n"
            "- 회계 프로그램용은 'CSV(EUC-KR)'입니다.\n"
            "- 10만 행을 넘으면 EXP-08이 표시됩니다. 기간을 나누거나 '예약 내보내기'를 이용해 "
            "주세요.\n"
            "- 링크는 7일 동안 유효하며 [데이터 > 내보내기 기록]에서 새 링크를 받을 수 있습니다."
        ),
        ("export", "csv", "EXP-08"),
        "Exports: encoding and the row limit (EXP-08)",
        (
            "- For Excel choose 'CSV (for Excel)' or .xlsx.\n"
            "- Accounting software: 'CSV (EUC-KR)'.\n"
            "- More than 100,000 rows end with EXP-08: split the range or use a scheduled export.\n"
            "- Links live for 7 days; the export history makes new ones."
        ),
    ),
    Article(
        "app",
        "상품 이미지 규격 (IMG-05)",
        (
            "RGB 색상의 JPG, PNG를 한 장에 10MB까지 올릴 수 있습니다. CMYK 이미지는 IMG-05로 "
            "거부됩니다. HEIC 사진은 앱에서 올리면 자동으로 변환됩니다."
        ),
        ("image", "IMG-05"),
    ),
    Article(
        "billing",
        "요금제 비교와 변경",
        (
            "- 스타터: 월 29,000원, 사용자 3명, 판매 채널 3개\n"
            "- 비즈니스: 월 99,000원, 사용자 20명, 채널 10개, API·웹훅·SSO\n"
            "- 비즈니스 플러스: 월 249,000원, 사용자 무제한, API 분당 600회\n"
            "올릴 때는 바로 적용되고 차액만 일할로 결제됩니다. 내릴 때는 다음 결제일부터 "
            "적용됩니다. 연간 결제는 2개월분이 할인됩니다."
        ),
        ("plan", "billing"),
        "Plans and how to change them",
        (
            "- Starter: KRW 29,000 a month, 3 users, 3 channels\n"
            "- Business: KRW 99,000, 20 users, 10 channels, API, webhooks and SSO\n"
            "- Business Plus: KRW 249,000, unlimited users, 600 API calls a minute\n"
            "Upgrades apply at once, downgrades on the next billing day. Annual billing saves two "
            "months."
        ),
    ),
    Article(
        "billing",
        "결제 실패 코드 (PAY-14, PAY-51, PAY-61)",
        (
            "- PAY-14: 카드번호나 유효기간이 맞지 않습니다. 법인카드는 사업자번호 10자리를 함께 "
            "입력합니다.\n"
            "- PAY-51: 한도 초과\n"
            "- PAY-61: 해외 결제 차단\n"
            "[설정 > 결제 > 다시 결제]를 누르면 5분 안에 읽기 전용이 풀립니다. 세 번 실패하면 "
            "14일 뒤에 읽기 전용으로 바뀝니다."
        ),
        ("billing", "card"),
        "Payment codes PAY-14, PAY-51, PAY-61",
        (
            "PAY-14 wrong number or expiry, PAY-51 over the limit, PAY-61 payments abroad "
            "blocked. 'Pay again' lifts the read-only mode within five minutes."
        ),
    ),
    Article(
        "billing",
        "전자세금계산서 발행",
        (
            "계좌이체와 가상계좌 결제만 전자세금계산서를 발행합니다. 카드 결제는 카드 매출전표가 "
            "증빙입니다.\n"
            "[설정 > 결제 > 사업자 정보]에서 '자동 발행'을 켜면 매월 1일에 발행됩니다. 국세청에 "
            "전송된 뒤에는 수정세금계산서로 처리됩니다."
        ),
        ("tax-invoice",),
        "Electronic tax invoices",
        (
            "Only bank transfers have a tax invoice; for cards the slip is the receipt. Switch on "
            "'Issue automatically' under Settings > Billing > Business details."
        ),
    ),
    Article(
        "billing",
        "구독 해지와 데이터 보관",
        (
            "해지하면 결제 기간의 마지막 날까지 사용할 수 있고, 데이터는 90일 동안 보관됩니다. "
            "해지하기 전에 [데이터 > 내보내기]로 백업해 주세요. 잠시 쉬신다면 월 9,900원의 "
            "'일시정지'가 있습니다."
        ),
        ("cancel",),
        "Cancelling and how long data is kept",
        (
            "Everything works until the end of the paid period; data is kept for 90 days. Export "
            "first. 'Pause' costs KRW 9,900 a month."
        ),
    ),
    Article(
        "billing",
        "쿠폰과 할인 코드",
        (
            "쿠폰은 결제 전에 [설정 > 결제 > 쿠폰]에 등록해야 하며 소급 적용되지 않습니다. 다른 "
            "할인과 함께 쓸 수 없습니다. 가입 축하 쿠폰은 가입 후 30일 이내 첫 결제에만 "
            "적용됩니다."
        ),
        ("coupon",),
    ),
    Article(
        "refund",
        "환불 규정과 처리 기간",
        (
            "- 무료체험 종료 후 7일 이내이고 주문 수집이 없으면 전액 환불합니다.\n"
            "- 중복 결제는 확인 즉시 뒤의 결제를 취소합니다.\n"
            "- 신용카드 영업일 3~5일, 체크카드 3~7일, 계좌이체 2일이 걸립니다.\n"
            "- 연간 결제는 사용한 달을 월 요금으로 계산하고 남은 금액을 환불합니다."
        ),
        ("refund", "double-charge"),
        "Refunds: rules and how long they take",
        (
            "- A trial is refunded in full within 7 days if no orders were collected.\n"
            "- Of a double charge the second one is cancelled at once.\n"
            "- Credit card 3-5 working days, debit card 3-7, bank transfer 2.\n"
            "- Annual plans: used months at the monthly price, the rest is refunded."
        ),
    ),
    Article(
        "partner",
        "제휴사 공급 단가표",
        (
            "제휴 판매사는 비즈니스 요금제를 월 69,000원에 이용합니다. 알림톡은 건당 6.5원입니다. "
            "계약서 제4조에 따라 외부에 공개할 수 없습니다."
        ),
        ("partner",),
    ),
    Article(
        "vip",
        "VIP 전담 창구",
        "VIP 고객은 평일 08시~22시, 주말 10시~18시에 전담 상담사와 연결됩니다. 응답 목표는 15분입니다.",
        ("vip",),
    ),
    Article(
        "enterprise",
        "기업 고객 SLA",
        (
            "월 가동률 99.9%를 보장하고, 미달하면 그달 이용료의 10%를 돌려드립니다. 장애 접수 후 "
            "30분 안에 1차 답변을 드립니다."
        ),
        ("sla",),
    ),
    Article(
        "api",
        "API 인증과 서명",
        (
            "모든 요청에는 X-Ondam-Key, X-Ondam-Timestamp(초), X-Ondam-Signature 헤더가 "
            "필요합니다.\n"
            "서명 원문: 메서드, 경로와 쿼리, 타임스탬프, 본문의 SHA-256을 줄바꿈으로 이은 것\n"
            "서명: HMAC-SHA256(시크릿, 서명 원문)의 16진수\n"
            "타임스탬프가 서버 시각과 5분 넘게 다르거나 서명이 다르면 E-1042가 반환됩니다. 서버 "
            "시계를 NTP로 맞춰 주세요."
        ),
        ("api", "E-1042"),
        "API authentication and signatures",
        (
            "Every call has X-Ondam-Key, X-Ondam-Timestamp (seconds) and X-Ondam-Signature.\n"
            "Sign method, path with query, timestamp and SHA-256 of the body, joined by newlines, "
            "with HMAC-SHA256, in hex.\n"
            "E-1042 is returned when the signature differs or the clock is more than 5 minutes "
            "off."
        ),
    ),
    Article(
        "api",
        "호출 한도와 재시도 (E-2001)",
        (
            "워크스페이스당 분당 300회(비즈니스 플러스 600회)까지 호출할 수 있습니다. 넘으면 "
            "429와 E-2001이 반환되며 Retry-After 초만큼 기다려야 합니다. 실패한 요청도 한도에 "
            "포함됩니다. 재고는 PUT /v1/stocks/bulk 로 200개씩 갱신해 주세요."
        ),
        ("api", "E-2001", "rate-limit"),
        "Rate limits and retries (E-2001)",
        (
            "300 calls a minute for a workspace (600 on Business Plus). Beyond that 429 with "
            "E-2001: wait for Retry-After seconds. Use PUT /v1/stocks/bulk for 200 products in "
            "one call."
        ),
    ),
    Article(
        "api",
        "목록 읽기: 커서와 변경분",
        (
            "page 방식은 1만 건까지입니다(E-2204). sort=updated_at, limit=100으로 시작해 "
            "next_cursor가 빌 때까지 읽고, 다음부터는 updated_after로 변경분만 읽습니다. 경계가 "
            "포함되므로 주문번호로 중복을 거릅니다."
        ),
        ("api", "pagination", "E-2204"),
        "Reading lists: cursors and changes",
        (
            "Page numbers end at 10,000 rows (E-2204). Follow next_cursor until it is empty; "
            "later read changes by updated_after, whose bound is inclusive."
        ),
    ),
    Article(
        "api",
        "OAuth 토큰 갱신 (E-1015)",
        (
            "리프레시 토큰은 30일 동안 유효하고 쓸 때마다 바뀝니다. 이미 쓴 토큰을 다시 쓰면 "
            "연동이 해제되고 E-1015가 반환됩니다. 서버가 여러 대면 한 곳에서만 갱신하세요."
        ),
        ("api", "oauth", "E-1015"),
        "Refreshing OAuth tokens (E-1015)",
        (
            "A refresh token lives for 30 days and is replaced with each use. Reusing one revokes "
            "the connection with E-1015."
        ),
    ),
    Article(
        "webhook",
        "웹훅 받기와 재시도",
        (
            "웹훅은 5초 안에 2xx로 응답해야 합니다. 실패하면 1분, 5분, 30분 뒤에 다시 보내고, "
            "실패가 계속되면 E-3107로 중지됩니다.\n"
            "- 최소 한 번 전달되므로 event_id로 중복을 거릅니다.\n"
            "- 순서는 보장되지 않습니다. occurred_at을 비교하거나 API로 현재 상태를 읽습니다.\n"
            "- [개발자 > 웹훅 > 놓친 이벤트 재전송]으로 72시간까지 다시 받을 수 있습니다.\n"
            "- 발신 주소: 203.0.113.32/27, 203.0.113.64/27"
        ),
        ("webhook", "E-3107"),
        "Receiving webhooks, and retries",
        (
            "Answer with 2xx within 5 seconds. We retry after 1, 5 and 30 minutes and stop with "
            "E-3107 when it keeps failing.\n"
            "- At least once: drop duplicates by event_id.\n"
            "- No order: compare occurred_at.\n"
            "- Missed events of 72 hours can be replayed.\n"
            "- They come from 203.0.113.32/27 and 203.0.113.64/27."
        ),
    ),
    Article(
        "errors",
        "오류 코드 모음",
        (
            "- E-1015: 리프레시 토큰 재사용 또는 만료\n"
            "- E-1042: 서명 불일치 또는 시각 차이 5분 초과\n"
            "- E-1101: 로그인 5회 실패로 잠김\n"
            "- E-1203: 허용되지 않은 IP\n"
            "- E-2001: 호출 한도 초과\n"
            "- E-2204: 1만 건을 넘는 페이지\n"
            "- E-3107: 웹훅 응답 실패로 중지\n"
            "- SYNC-401: 판매 채널 인증 만료\n"
            "- CH-220: 쇼핑몰 권한 부족"
        ),
        ("errors", "E-1042", "E-1203", "E-3107"),
        "Error codes",
        (
            "E-1015 refresh token reused or expired; E-1042 signature or clock; E-1101 locked "
            "after five failures; E-1203 address not allowed; E-2001 over the limit; E-2204 "
            "beyond 10,000 rows; E-3107 webhook stopped; SYNC-401 channel connection expired; "
            "CH-220 missing shop permission."
        ),
    ),
    Article(
        "bot",
        "상담봇: 영업시간 안내",
        (
            "고객지원은 평일 09시~18시(점심 12시~13시)이며 공휴일은 쉽니다. 긴급 장애는 상태 "
            "페이지 status.ondam.example 에서 확인해 주세요."
        ),
        ("bot",),
    ),
    Article(
        "bot",
        "상담봇: 상담사 연결",
        "'상담사'라고 입력하시면 대기 순서대로 연결됩니다. 평균 대기 시간은 4분입니다.",
        ("bot",),
    ),
    Article(
        "internal",
        "2단계 인증 초기화 절차 (SEC-12)",
        (
            "1. 소유자 메일에서 온 요청인지 확인합니다. 전화 요청은 거절합니다.\n"
            "2. 사업자등록증의 상호와 대표자를 대조합니다.\n"
            "3. 관리자 콘솔 > 사용자 > 2FA 초기화, 사유에 티켓 번호를 적습니다.\n"
            "4. 소유자에게 확인 메일이 갔는지 확인합니다.\n"
            "이 문서는 고객에게 공유하지 않습니다."
        ),
        ("internal", "2fa"),
    ),
    Article(
        "internal",
        "환불 승인 권한표",
        (
            "- 10만 원 이하: 상담사\n"
            "- 50만 원 이하: 팀장\n"
            "- 그 이상: 재무팀 김하린\n"
            "중복 결제 취소는 금액과 관계없이 상담사가 처리합니다."
        ),
        ("internal", "refund"),
    ),
    Article(
        "runbook",
        "RB-03 중복 결제 취소",
        (
            "1. PG 콘솔에서 invoice 번호로 승인 건을 조회합니다.\n"
            "2. 같은 금액, 10분 이내의 승인이 둘이면 뒤의 승인을 취소합니다.\n"
            "3. 취소 승인번호를 티켓 비공개 메모에 적습니다.\n"
            "4. 월말 대사표에 기록합니다."
        ),
        ("runbook", "double-charge"),
    ),
    Article(
        "runbook",
        "RB-07 재고 이중 차감 점검",
        (
            "1. 읽기 전용 DB에서 option_links 를 sku 별로 묶어 2건 이상인 것을 찾습니다.\n"
            "2. 고객에게 중복 연결 목록을 보내고 동의를 받은 뒤 해제합니다.\n"
            "3. 재고 재계산 작업을 실행합니다: stockctl recount --workspace <id>"
        ),
        ("runbook", "stock"),
    ),
    Article(
        "runbook",
        "RB-11 웹훅 대량 재전송",
        (
            "whctl replay --workspace <id> --since 24h --rate 5\n"
            "초당 5건을 넘기면 고객 서버가 다시 중지될 수 있습니다. 재전송 전에 고객에게 event_id "
            "중복 처리를 확인합니다."
        ),
        ("runbook", "webhook"),
    ),
    Article(
        "account",
        "[초안] 패스키로 로그인하기",
        "2027년 상반기에 지원할 예정인 패스키 로그인 안내의 초안입니다. 아직 공개하지 않습니다.",
        ("draft",),
        draft=True,
    ),
    Article(
        "billing",
        "[초안] 2027년 요금 개편 안내",
        "스타터 요금제를 월 35,000원으로 조정하는 안이 검토되고 있습니다. 확정 전까지 외부에 공개할 수 없습니다.",
        ("draft",),
        draft=True,
    ),
)
