"""Problems with the mobile app, screens and exports."""

from backend.simulator.freshdesk.content.family import Family, Side

FAMILIES = (
    Family(
        name="app-crash",
        area="app",
        kind="Incident",
        priority=3,
        tags=("mobile", "crash"),
        product="Ondam Mobile",
        note="5.2.0 안드로이드 15에서 웹뷰 크래시(APP-871). 5.2.1 핫픽스 배포 완료. iOS는 무관.",
        sides={
            "ko": Side(
                said=(
                    (
                        "앱이 실행하자마자 꺼져요",
                        (
                            "업데이트하고 나서 온담 앱이 켜지자마자 꺼집니다. 휴대폰은 {android} 입니다. 지웠다 "
                            "다시 깔아도 똑같아요."
                        ),
                    ),
                    (
                        "5.2.0 업데이트 후 강제 종료",
                        "주문 목록을 열면 앱이 종료됩니다. 직원 {count}명 모두 같은 증상입니다.",
                    ),
                    ("앱 오류", "앱에서 주문 상세만 누르면 튕깁니다. PC에서는 잘 됩니다."),
                ),
                ask=(
                    "휴대폰 기종과 안드로이드(또는 iOS) 버전, 앱 버전을 알려 주세요. 앱 버전은 [더보기 > "
                    "앱 정보]에 있습니다."
                ),
                reply="{android}, 안드로이드 15, 앱 버전 5.2.0 입니다.",
                answer=(
                    "5.2.0 버전이 안드로이드 15에서 종료되는 문제를 확인했고, 수정된 5.2.1을 "
                    "배포했습니다.\n"
                    "1. 플레이 스토어에서 온담을 5.2.1로 업데이트합니다.\n"
                    "2. 업데이트가 보이지 않으면 스토어 앱의 캐시를 지우고 다시 확인해 주세요.\n"
                    "3. 그 전까지는 휴대폰 브라우저에서 m.ondam.example 로 접속하시면 같은 기능을 쓸 수 "
                    "있습니다.\n"
                    "작성 중이던 데이터는 서버에 저장되어 있어 사라지지 않습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "App crashes on start after 5.2.0",
                        "The app closes right after opening on my {android}. Reinstalling did not help.",
                    ),
                    ("Crash when opening an order", "All {count} of us see it since the update on {date}."),
                ),
                answer=(
                    "5.2.0 crashes on Android 15; 5.2.1 with the fix is out.\n"
                    "1. Update to 5.2.1 in the Play Store.\n"
                    "2. If you do not see it, clear the store's cache.\n"
                    "3. Until then m.ondam.example in the phone's browser does the same.\n"
                    "Nothing is lost: drafts are kept on the server."
                ),
            ),
        },
    ),
    Family(
        name="push-missing",
        area="app",
        kind="Question",
        priority=1,
        tags=("mobile", "notification"),
        product="Ondam Mobile",
        note="삼성 기기 '절전 예외 앱' 미설정이 대부분. 토큰 갱신 실패 로그는 push_token_invalid.",
        sides={
            "ko": Side(
                said=(
                    (
                        "주문 알림이 안 울려요",
                        "새 주문이 들어와도 앱 알림이 오지 않습니다. 알림 설정은 켜져 있어요. {device} 사용 중입니다.",
                    ),
                    ("푸시가 늦게 옵니다", "주문 알림이 한두 시간씩 늦게 몰아서 옵니다."),
                    ("알림 소리 변경", "주문 알림 소리를 다른 것으로 바꾸고 싶은데 방법이 있나요?"),
                ),
                answer=(
                    "휴대폰의 절전 기능이 온담 앱을 재우면 알림이 늦거나 오지 않습니다.\n"
                    "1. [설정 > 배터리 > 백그라운드 사용 제한]에서 온담을 '절전 예외 앱'에 추가합니다.\n"
                    "2. 앱의 [더보기 > 알림]에서 '알림 다시 등록'을 누르고 테스트 알림을 보내 봅니다.\n"
                    "3. 아이폰은 집중 모드에서 온담을 허용해 주세요.\n"
                    "알림 소리는 앱 5.1부터 [더보기 > 알림 > 소리]에서 바꿀 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    ("No push notifications for new orders", "Notifications are on, still nothing on my {device}."),
                    ("Push comes hours late", "All order notifications arrive at once, hours later."),
                ),
                answer=(
                    "The phone's battery saver puts the app to sleep.\n"
                    "1. Exclude Ondam from battery optimisation.\n"
                    "2. In the app choose More > Notifications > Register again and send a test.\n"
                    "3. On an iPhone allow Ondam in Focus."
                ),
            ),
        },
    ),
    Family(
        name="barcode-scan",
        area="app",
        kind="Problem",
        priority=2,
        tags=("mobile", "barcode"),
        product="Ondam Mobile",
        note="저조도에서 ML 스캐너 인식률 저하. 블루투스 스캐너는 HID 모드만 지원, SPP 모드 문의는 기능 요청으로 분류.",
        sides={
            "ko": Side(
                said=(
                    (
                        "바코드 인식이 잘 안 됩니다",
                        "창고에서 상품 바코드를 찍으면 한참 걸리거나 다른 상품으로 인식됩니다.",
                    ),
                    (
                        "블루투스 스캐너 연결",
                        "블루투스 바코드 스캐너를 연결했는데 앱에 입력이 안 됩니다. 모델명은 박스에 없네요.",
                    ),
                    (
                        "검수할 때 바코드 중복",
                        "같은 바코드를 두 상품이 쓰고 있어서 검수가 틀어집니다. 해결 방법이 있을까요?",
                    ),
                ),
                answer=(
                    "바코드 스캔이 느릴 때는 아래를 확인해 주세요.\n"
                    "1. 스캔 화면의 조명 버튼을 켜고 15cm 거리에서 찍습니다.\n"
                    "2. [더보기 > 스캔 > 바코드 종류]에서 실제로 쓰는 종류(EAN-13, Code 128)만 선택하면 "
                    "속도와 정확도가 올라갑니다.\n"
                    "3. 블루투스 스캐너는 HID(키보드) 모드로 바꾼 뒤 휴대폰의 블루투스 설정에서 다시 "
                    "연결해 주세요.\n"
                    "4. 중복 바코드는 [상품 > 바코드 점검]에서 찾아 한쪽에 자체 바코드를 발급하면 됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Barcode scanning is slow and wrong",
                        "In the warehouse the app takes ages or reads another product.",
                    ),
                    (
                        "Bluetooth scanner does nothing",
                        "The scanner is paired with the {device} but nothing is entered.",
                    ),
                ),
                answer=(
                    "1. Use the light and hold the phone 15 cm away.\n"
                    "2. Choose only the kinds you use (EAN-13, Code 128) under More > Scan > Barcode "
                    "types.\n"
                    "3. Put a Bluetooth scanner into HID (keyboard) mode and pair it again.\n"
                    "4. Products > Barcode check finds products that share a code."
                ),
            ),
        },
    ),
    Family(
        name="csv-garbled",
        area="app",
        kind="Question",
        priority=1,
        tags=("export", "csv", "encoding"),
        product="Ondam Admin",
        note="UTF-8 BOM 미포함이 원인. '엑셀용' 옵션이 BOM 포함. 기본값 변경은 기능 요청 FR-310.",
        sides={
            "ko": Side(
                said=(
                    ("내보내기 파일 한글이 깨져요", "주문 목록을 CSV로 내려받아 엑셀로 열면 한글이 전부 깨집니다."),
                    (
                        "엑셀에서 송장번호가 이상하게 나옵니다",
                        "송장번호가 5.12E+11 처럼 표시됩니다. 앞자리 0도 사라져요.",
                    ),
                    ("CSV 인코딩", "내보내기 파일을 EUC-KR로 받을 수 있나요? 회계 프로그램이 UTF-8을 못 읽습니다."),
                ),
                answer=(
                    "내보내기 창의 '파일 형식'에서 'CSV(엑셀용)'을 고르시면 한글이 깨지지 않습니다.\n"
                    "- 회계 프로그램용은 'CSV(EUC-KR)'을 선택해 주세요. 이모지처럼 EUC-KR에 없는 글자는 "
                    "물음표로 바뀝니다.\n"
                    "- 송장번호가 지수로 보이면 .xlsx로 받으시거나, 엑셀의 [데이터 > 텍스트에서]로 열어 "
                    "해당 열을 '텍스트'로 지정해 주세요.\n"
                    "자주 쓰는 형식은 '기본값으로 저장'을 누르면 다음부터 자동으로 선택됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Korean text garbled in CSV export",
                        "Opening the exported orders in Excel shows rubbish instead of Korean names.",
                    ),
                    ("Tracking numbers become 5.12E+11", "Excel also drops leading zeros."),
                ),
                answer=(
                    "Choose 'CSV (for Excel)' as the file type when exporting.\n"
                    "- For accounting software take 'CSV (EUC-KR)'.\n"
                    "- Against 5.12E+11 export .xlsx, or import the CSV with that column as text.\n"
                    "'Save as default' keeps the choice."
                ),
            ),
        },
    ),
    Family(
        name="export-failed",
        area="app",
        kind="Incident",
        priority=2,
        tags=("export", "timeout"),
        product="Ondam Admin",
        note="10만 행 초과 시 워커 메모리 부족. 야간 대용량 큐로 수동 실행: exportctl run --queue night",
        sides={
            "ko": Side(
                said=(
                    (
                        "주문 내보내기가 실패합니다",
                        "1년치 주문을 내려받으려고 하면 'EXP-08 시간이 초과되었습니다'라고 나옵니다.",
                    ),
                    ("대용량 다운로드", "주문이 {count}만 건 정도 되는데 한 번에 받을 방법이 없을까요?"),
                    (
                        "내보내기 링크 만료",
                        (
                            "내보내기 완료 메일의 링크를 누르니 만료되었다고 합니다. 다시 만들려면 또 한 시간을 "
                            "기다려야 하나요?"
                        ),
                    ),
                ),
                answer=(
                    "한 번에 10만 행까지 내보낼 수 있고, 넘으면 EXP-08이 표시됩니다.\n"
                    "1. 기간을 분기별로 나누어 내보내 주세요.\n"
                    "2. 또는 '예약 내보내기'를 선택하면 새벽에 처리하여 메일로 링크를 보내 드립니다. 행 "
                    "수 제한이 없습니다.\n"
                    "3. 링크는 7일 동안 유효하고, [데이터 > 내보내기 기록]에서 다시 만들지 않고도 새 "
                    "링크를 받을 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    ("Export fails with EXP-08", "Exporting one year of orders ends with 'timed out' (EXP-08)."),
                    ("Export link expired", "The link in the mail is dead. Do I have to wait another hour?"),
                ),
                answer=(
                    "An export has at most 100,000 rows (EXP-08).\n"
                    "1. Export a quarter at a time.\n"
                    "2. Or choose 'Scheduled export': it runs at night without a limit and mails a link.\n"
                    "3. Links live for 7 days; Data > Export history gives a new one without running it "
                    "again."
                ),
            ),
        },
    ),
    Family(
        name="dashboard-slow",
        area="app",
        kind="Problem",
        priority=2,
        tags=("performance", "dashboard"),
        product="Ondam Admin",
        note="위젯 20개 이상 + 1년 범위면 쿼리 12초. 집계 테이블 적용은 BE-1502. 고객에게 일정 약속 금지.",
        sides={
            "ko": Side(
                said=(
                    (
                        "대시보드가 너무 느려요",
                        "대시보드 여는 데 20초 넘게 걸립니다. 아침마다 답답해서 일을 못 하겠어요.",
                    ),
                    (
                        "화면 로딩 지연",
                        "주문 목록이 뜨는 데 한참 걸립니다. {browser} 사용 중이고 인터넷 속도는 문제없습니다.",
                    ),
                    ("통계가 안 열립니다", "매출 통계를 1년으로 설정하면 빈 화면만 나옵니다."),
                ),
                ask="대시보드의 위젯 수와 기간 설정, 그리고 느린 시간대를 알려 주세요.",
                reply="위젯은 25개쯤 되고 기간은 최근 1년, 아침 9시쯤이 제일 느립니다.",
                answer=(
                    "위젯이 많고 기간이 길면 매번 전체를 다시 계산하여 느려집니다.\n"
                    "1. 기간을 '최근 30일'로 바꾸고, 1년 통계는 [통계 > 리포트]에서 보시면 미리 계산된 "
                    "값이 바로 표시됩니다.\n"
                    "2. 쓰지 않는 위젯은 숨기면 불러오지 않습니다.\n"
                    "3. 주문 목록은 기본 필터를 '처리 전'으로 저장해 두시면 훨씬 빨리 열립니다.\n"
                    "계산 방식도 개선하고 있으며, 적용되면 공지로 알려 드리겠습니다."
                ),
            ),
            "en": Side(
                said=(
                    ("Dashboard takes 20 seconds", "Every morning the dashboard needs 20 seconds or more to load."),
                    ("Statistics page stays blank", "With a range of one year nothing is shown in {browser}."),
                ),
                answer=(
                    "Many widgets over a long range are computed each time.\n"
                    "1. Use 'Last 30 days'; yearly figures are precomputed under Statistics > Reports.\n"
                    "2. Hidden widgets are not loaded.\n"
                    "3. Save 'Unprocessed' as the default filter of the order list."
                ),
            ),
        },
    ),
    Family(
        name="image-upload",
        area="app",
        kind="Incident",
        priority=2,
        tags=("products", "image"),
        product="Ondam Admin",
        note="이미지 CDN 변환기가 CMYK JPEG를 거부(IMG-05). HEIC는 앱에서만 자동 변환.",
        sides={
            "ko": Side(
                said=(
                    (
                        "상품 이미지가 안 올라가요",
                        "상품 이미지를 올리면 IMG-05 오류가 나옵니다. 용량은 3MB밖에 안 됩니다.",
                    ),
                    ("아이폰 사진 업로드 오류", "아이폰으로 찍은 사진(HEIC)이 PC에서 등록되지 않습니다."),
                    (
                        "이미지 순서가 바뀝니다",
                        "이미지를 여러 장 올리면 순서가 뒤섞입니다. 대표 이미지가 자꾸 바뀌어요.",
                    ),
                ),
                answer=(
                    "IMG-05는 인쇄용 색상(CMYK)으로 저장된 이미지이거나 지원하지 않는 형식일 때 "
                    "나타납니다.\n"
                    "1. 이미지를 RGB, JPG 또는 PNG로 다시 저장해 주세요. 한 장에 10MB까지 가능합니다.\n"
                    "2. HEIC 사진은 온담 앱에서 올리시면 자동으로 변환됩니다.\n"
                    "3. 파일 이름을 01, 02처럼 시작하게 하면 그 순서대로 올라가고, 첫 번째가 대표 "
                    "이미지가 됩니다."
                ),
            ),
            "en": Side(
                said=(
                    ("IMG-05 when uploading product images", "A 3 MB JPG is refused with IMG-05."),
                    ("HEIC photos not accepted", "Photos from my {device} cannot be uploaded on the computer."),
                ),
                answer=(
                    "IMG-05 means print colours (CMYK) or an unknown format.\n"
                    "1. Save the image as RGB, JPG or PNG, up to 10 MB.\n"
                    "2. HEIC photos are converted when you upload them in the app.\n"
                    "3. Names that begin with 01, 02 keep the order; the first is the main image."
                ),
            ),
        },
    ),
    Family(
        name="feature-dark-mode",
        area="app",
        kind="Feature Request",
        priority=1,
        tags=("feature-request",),
        product="Ondam Admin",
        note="다크 모드 요청 누적 58건. 로드맵 2027년 상반기(대외비).",
        sides={
            "ko": Side(
                said=(
                    (
                        "다크 모드 추가해 주세요",
                        "밤에 작업하는 일이 많아 눈이 아픕니다. 다크 모드가 있으면 좋겠습니다.",
                    ),
                    (
                        "기능 건의: 주문 메모 색상",
                        "주문 메모에 색을 지정할 수 있으면 직원들끼리 구분하기 편할 것 같습니다.",
                    ),
                    ("건의사항", "송장 출력 화면에서 이전 출력 기록을 바로 볼 수 있게 해 주세요."),
                ),
                answer=(
                    "소중한 의견 감사합니다. 말씀하신 내용을 기능 제안으로 등록했습니다.\n"
                    "같은 제안을 하신 분들이 많을수록 우선순위가 올라가며, 진행 상황은 [도움말 > 기능 "
                    "제안]에서 확인하실 수 있습니다. 적용되면 이 메일로 알려 드리겠습니다.\n"
                    "그 전까지는 브라우저의 '강제 어두운 테마'를 쓰시는 고객님도 계시니 참고해 주세요."
                ),
            ),
            "en": Side(
                said=(
                    ("Please add a dark mode", "We work at night and the white screen hurts."),
                    ("Feature request: coloured notes", "Colours on order notes would help our team."),
                ),
                answer=(
                    "Thank you, I added your vote to the suggestion. You can follow it under Help > "
                    "Suggestions, and we write to you when it is there. Until then the browser's forced "
                    "dark theme works for some customers."
                ),
            ),
        },
    ),
)
