"""Problems with accounts and logging in."""

from backend.simulator.freshdesk.content.family import Family, Side

FAMILIES = (
    Family(
        name="password-reset-mail",
        area="access",
        kind="Question",
        priority=2,
        tags=("login", "password"),
        product="Ondam Admin",
        note=(
            "메일 발송 로그 확인: 550 5.7.1 수신 거부. 고객사 메일 서버가 SPF 소프트페일을 "
            "차단하는 경우가 많음. 재발송 전에 수신 거부 목록에서 먼저 삭제할 것."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "비밀번호 재설정 메일이 안 와요",
                        (
                            "비밀번호를 잊어버려서 재설정을 눌렀는데 30분이 지나도 메일이 오지 않습니다.\n"
                            "스팸함도 확인했는데 없어요. 가입 메일은 {email} 입니다."
                        ),
                    ),
                    (
                        "[긴급] 로그인 불가 - 재설정 메일 미수신",
                        (
                            "{date}부터 관리자 페이지에 로그인을 못 하고 있습니다. 재설정 메일을 세 번 요청했는데 "
                            "한 통도 받지 못했습니다.\n"
                            "오늘 출고 마감이 3시라 빨리 확인 부탁드립니다."
                        ),
                    ),
                    (
                        "비번 재설정",
                        "비번 바꾸려고 하는데 메일이 안 오네요 ㅠㅠ 회사 메일이라 그런가요? 연락처는 {phone} 입니다.",
                    ),
                ),
                ask=(
                    "확인을 위해 재설정을 요청하신 시각과, 회사 메일을 쓰신다면 메일 서비스(구글 "
                    "워크스페이스, 네이버웍스 등)를 알려 주시겠어요?"
                ),
                reply="오늘 오전 9시 40분쯤이고 네이버웍스 씁니다.",
                answer=(
                    "발송 기록을 보니 고객님의 메일 서버가 저희 메일을 수신 거부하여 발송이 중단되어 "
                    "있었습니다.\n"
                    "거부 목록에서 해제하였으니 아래 순서로 다시 시도해 주세요.\n"
                    "1. 메일 관리자 화면에서 no-reply@ondam.example 을 허용 발신자로 등록합니다.\n"
                    "2. 로그인 화면의 '비밀번호 찾기'에서 재설정을 다시 요청합니다.\n"
                    "3. 메일의 링크는 30분 동안만 유효하며, 가장 마지막에 받은 링크만 쓸 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Password reset email never arrives",
                        (
                            "I clicked 'Forgot password' four times since {date} and nothing shows up, not even "
                            "in spam. My login is {email}."
                        ),
                    ),
                    (
                        "Can't reset my password",
                        (
                            "The reset link says it is expired although I opened it right away. I requested "
                            "several because the first one took ages."
                        ),
                    ),
                ),
                ask="Could you tell us when you last asked for a reset, and who runs your company's email?",
                reply="About 9:40 this morning, we are on Microsoft 365.",
                answer=(
                    "Your mail server had rejected one of our messages, so we stopped sending to your "
                    "address. I have removed the block.\n"
                    "1. Ask your mail administrator to allow no-reply@ondam.example.\n"
                    "2. Request the reset again from the sign-in page.\n"
                    "3. Use the link of the latest message only; it is valid for 30 minutes and every new "
                    "request cancels the earlier ones."
                ),
            ),
        },
    ),
    Family(
        name="account-locked",
        area="access",
        kind="Incident",
        priority=3,
        tags=("login", "locked"),
        product="Ondam Admin",
        note=(
            "로그인 실패 5회 → 30분 잠금(LOCK_5). 관리자 콘솔 > 사용자 > 잠금 해제. 해외 IP에서의 "
            "시도면 보안팀(#sec-help)에 먼저 알릴 것."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "계정이 잠겼습니다",
                        "비밀번호를 몇 번 틀렸더니 '계정이 잠겼습니다(E-1101)'라고 나옵니다. 언제 풀리나요?",
                    ),
                    (
                        "E-1101 오류로 로그인이 안됩니다",
                        (
                            "직원이 비밀번호를 바꾼 걸 모르고 계속 시도하다가 E-1101 이 떴습니다. 아이디는 "
                            "{email} 이고 지금 당장 송장 출력을 해야 합니다."
                        ),
                    ),
                    (
                        "로그인 잠금 해제 요청드립니다",
                        (
                            "저는 로그인을 시도한 적이 없는데 잠금 안내 메일을 받았습니다. 혹시 해킹인가요? 본인 "
                            "확인이 필요하시면 주민번호 {rrn} 로 확인해 주세요."
                        ),
                    ),
                ),
                ask=(
                    "잠금 안내 메일에 적힌 접속 지역이 고객님의 위치와 같은지 알려 주세요. 주민등록번호는 "
                    "본인 확인에 사용하지 않으니 앞으로는 보내지 않으셔도 됩니다."
                ),
                reply="네 서울로 나오고 저희 사무실이 맞습니다.",
                answer=(
                    "비밀번호를 5회 연속 틀리면 30분 동안 자동으로 잠깁니다(E-1101). 방금 수동으로 해제해 "
                    "드렸습니다.\n"
                    "같은 일이 반복되지 않도록 브라우저에 저장된 예전 비밀번호를 지우고, [설정 > "
                    "보안]에서 최근 접속 기록을 확인해 주세요. 모르는 접속이 있으면 '모든 기기에서 "
                    "로그아웃'을 누르시면 됩니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Account locked - E-1101",
                        (
                            "Our warehouse account is locked with E-1101. Somebody had the old password saved in "
                            "{browser}. Please unlock, trucks leave at 3pm."
                        ),
                    ),
                    (
                        "Locked out",
                        (
                            "I got an email that my account is locked but I did not try to sign in at all. The "
                            "address was {ip}. Should I be worried?"
                        ),
                    ),
                ),
                answer=(
                    "Five wrong passwords in a row lock an account for 30 minutes (E-1101). I have "
                    "unlocked it for you.\n"
                    "Please delete the password saved in the browser and check Settings > Security > "
                    "Recent sign-ins. If you see one that you do not know, choose 'Sign out everywhere' "
                    "and change the password."
                ),
            ),
        },
    ),
    Family(
        name="two-factor-lost-phone",
        area="access",
        kind="Incident",
        priority=3,
        tags=("2fa", "login"),
        product="Ondam Admin",
        note=(
            "2FA 초기화는 소유자 본인 확인 후에만. 사업자등록증 + 소유자 메일 회신 필수, "
            "전화만으로 해제 금지 (보안 지침 SEC-12)."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "휴대폰을 바꿨더니 2단계 인증이 안 돼요",
                        "{device} 로 기기 변경을 했는데 인증 앱에 온담이 없습니다. 복구 코드도 저장해 두지 않았어요.",
                    ),
                    ("OTP 초기화 부탁드립니다", "인증 앱을 실수로 삭제했습니다. 6자리 번호를 받을 방법이 없나요?"),
                    (
                        "2단계 인증 분실",
                        (
                            "담당자가 퇴사하면서 인증용 휴대폰도 함께 반납되어 아무도 로그인을 못 합니다. "
                            "대표번호 {phone} 로 연락 주세요."
                        ),
                    ),
                ),
                ask=(
                    "보안을 위해 워크스페이스 소유자의 메일 주소로 이 메일에 회신해 주시고, 사업자등록증 "
                    "사본을 첨부해 주세요."
                ),
                reply="대표님 메일로 회신드리고 사업자등록증 첨부했습니다. 확인 부탁드려요.",
                answer=(
                    "소유자 확인이 끝나 2단계 인증을 초기화했습니다.\n"
                    "1. 다음 로그인 때 비밀번호만 입력하면 QR 코드가 나타납니다.\n"
                    "2. 새 휴대폰의 인증 앱으로 QR 코드를 스캔합니다.\n"
                    "3. 화면에 나오는 복구 코드 10개를 인쇄하거나 비밀번호 관리자에 보관해 주세요.\n"
                    "복구 코드가 있으면 다음부터는 저희를 거치지 않고 바로 로그인하실 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Lost my phone, need 2FA reset",
                        (
                            "My {device} was stolen and with it the authenticator. I have no backup codes. How do "
                            "I get back in?"
                        ),
                    ),
                    (
                        "Authenticator codes rejected",
                        "Since I moved to a new phone every 6-digit code is 'invalid or expired'.",
                    ),
                ),
                ask=(
                    "For your safety, please answer from the workspace owner's email address and attach "
                    "the business registration."
                ),
                reply="Done, our CEO is in copy and the document is attached.",
                answer=(
                    "We confirmed the owner and reset two-factor authentication.\n"
                    "1. Sign in with the password; a QR code appears.\n"
                    "2. Scan it with the authenticator of the new phone, whose clock must be set "
                    "automatically.\n"
                    "3. Keep the ten recovery codes in a password manager."
                ),
            ),
        },
    ),
    Family(
        name="sso-saml",
        area="access",
        kind="Incident",
        priority=3,
        tags=("sso", "saml"),
        product="Ondam Admin",
        note=(
            "SAML 응답 로그에서 Audience 불일치 확인. 2026년 3월 도메인 이전 이후 옛 엔티티 "
            "ID(https://app.ondam.example/saml)를 쓰는 고객사가 아직 있음."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "SSO 로그인 시 invalid audience 오류",
                        (
                            "Okta로 SSO 설정을 마쳤는데 로그인하면 'SAML-04 invalid audience'가 표시됩니다. "
                            "메타데이터는 안내 문서대로 넣었습니다."
                        ),
                    ),
                    (
                        "구글 워크스페이스 SSO 연동 문의",
                        (
                            "구글 워크스페이스로 SSO를 붙이려고 합니다. ACS URL과 엔티티 ID를 어디서 확인하나요? "
                            "요금제는 비즈니스입니다."
                        ),
                    ),
                    (
                        "SSO 인증서 만료",
                        (
                            "{date}에 IdP 인증서가 갱신된 뒤로 전 직원이 로그인을 못 하고 있습니다. 오류는 "
                            "SAML-07 입니다. 급합니다."
                        ),
                    ),
                ),
                ask=(
                    "[설정 > 보안 > SSO] 화면의 엔티티 ID와, IdP에 등록된 Audience(SP Entity ID) 값을 "
                    "그대로 복사해서 보내 주세요."
                ),
                reply=(
                    "온담 화면은 https://login.ondam.example/saml/{company_code} 이고 Okta 에는 "
                    "https://app.ondam.example/saml 로 들어가 있네요."
                ),
                answer=(
                    "Audience 값이 옛 주소로 등록되어 있어 SAML-04 오류가 발생했습니다.\n"
                    "1. IdP의 Audience(SP Entity ID)를 [설정 > 보안 > SSO]에 표시된 엔티티 ID로 바꿉니다. "
                    "끝의 슬래시까지 같아야 합니다.\n"
                    "2. ACS URL은 https://login.ondam.example/saml/acs 입니다.\n"
                    "3. 인증서를 갱신하셨다면 새 인증서를 같은 화면에 올리고 '이전 인증서도 함께 허용'을 "
                    "하루 동안 켜 두세요(SAML-07 예방).\n"
                    "소유자 계정은 SSO 장애 때에도 비밀번호로 로그인할 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "SAML-04 invalid audience with Okta",
                        (
                            "We set up SSO with Okta following the guide, but every sign-in ends with SAML-04 "
                            "'invalid audience'."
                        ),
                    ),
                    (
                        "SSO broken after certificate rotation",
                        (
                            "Our IdP rotated its signing certificate on {date}. Since then nobody can sign in, "
                            "error SAML-07. {count} people are blocked."
                        ),
                    ),
                ),
                ask=(
                    "Please copy the Entity ID from Settings > Security > SSO and the Audience configured "
                    "at your identity provider."
                ),
                reply=(
                    "Ours says https://app.ondam.example/saml, yours https://login.ondam.example/saml/{company_code}."
                ),
                answer=(
                    "The audience at your identity provider is our old address.\n"
                    "1. Set the Audience (SP Entity ID) to exactly what Settings > Security > SSO shows, "
                    "including the trailing part.\n"
                    "2. The ACS URL is https://login.ondam.example/saml/acs.\n"
                    "3. After a certificate rotation upload the new certificate there and keep 'Also "
                    "accept the previous one' on for a day (prevents SAML-07).\n"
                    "The workspace owner can always sign in with a password."
                ),
            ),
        },
    ),
    Family(
        name="login-loop",
        area="access",
        kind="Problem",
        priority=2,
        tags=("login", "browser"),
        product="Ondam Admin",
        note="쿠키 SameSite 변경(6월 배포) 이후 크롬 확장 프로그램 때문에 루프 발생. 재현됨, FE-2291로 등록.",
        sides={
            "ko": Side(
                said=(
                    (
                        "로그인하면 다시 로그인 화면으로 돌아가요",
                        (
                            "아이디와 비밀번호를 입력하면 잠깐 대시보드가 보이다가 다시 로그인 화면으로 "
                            "돌아갑니다. {browser} 쓰고 있어요."
                        ),
                    ),
                    (
                        "무한 로그인",
                        (
                            "어제까지 되던 게 오늘 아침부터 로그인 화면만 반복됩니다. 시크릿 창에서는 되는데 일반 "
                            "창에서는 안 됩니다."
                        ),
                    ),
                    (
                        "자꾸 로그아웃됩니다",
                        (
                            "작업하다 보면 10분마다 로그아웃됩니다. 상품 등록하다 날린 게 몇 번째인지 모르겠어요. "
                            "조치 부탁드립니다."
                        ),
                    ),
                ),
                ask="브라우저 종류와 버전, 그리고 광고 차단 같은 확장 프로그램을 쓰시는지 알려 주세요.",
                reply="{browser} 이고 광고 차단 확장 프로그램이 하나 있습니다.",
                answer=(
                    "확장 프로그램이 로그인 쿠키를 지우는 것이 원인이었습니다.\n"
                    "1. 주소창 왼쪽 자물쇠를 눌러 ondam.example 의 쿠키를 삭제합니다.\n"
                    "2. 확장 프로그램에서 *.ondam.example 을 예외로 등록합니다.\n"
                    "3. 브라우저의 '서드파티 쿠키 차단'을 쓰신다면 login.ondam.example 을 허용 목록에 "
                    "넣어 주세요.\n"
                    "자동 로그아웃 시간은 [설정 > 보안 > 세션]에서 15분~12시간으로 바꿀 수 있습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Endless login loop in {browser}",
                        (
                            "After signing in I see the dashboard for a second and then the login page again. "
                            "Private window works."
                        ),
                    ),
                    (
                        "Logged out every ten minutes",
                        "I keep losing half-written product pages because the session ends. It started on {date}.",
                    ),
                ),
                answer=(
                    "A browser extension deletes our session cookie.\n"
                    "1. Clear the cookies of ondam.example.\n"
                    "2. Add *.ondam.example as an exception of your ad or cookie blocker.\n"
                    "3. If third-party cookies are blocked, allow login.ondam.example.\n"
                    "How long a session lives can be set from 15 minutes to 12 hours under Settings > "
                    "Security > Session."
                ),
            ),
        },
    ),
    Family(
        name="invite-expired",
        area="access",
        kind="Question",
        priority=1,
        tags=("users", "invitation"),
        product="Ondam Admin",
        note=(
            "초대 링크 유효기간 72시간. 스타터 요금제는 사용자 3명 제한이라 초대가 조용히 "
            "실패하는 경우가 있음(버그 BE-1187)."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "직원 초대 링크가 만료됐다고 나와요",
                        "새로 입사한 직원에게 초대를 보냈는데 링크를 누르면 만료되었다고 합니다. 다시 보내도 똑같아요.",
                    ),
                    (
                        "사용자 추가 방법",
                        (
                            "알바생 {count}명에게 주문 조회 권한만 주고 싶은데 어떻게 추가하나요? 매출은 안 "
                            "보였으면 합니다."
                        ),
                    ),
                    (
                        "초대 메일 오류",
                        "초대 수락을 누르면 '사용자 수를 초과했습니다' 라고 나옵니다. 저희 세 명밖에 안 쓰는데요.",
                    ),
                ),
                answer=(
                    "초대 링크는 보낸 때부터 72시간 동안 유효하고, 다시 보내면 이전 링크는 쓸 수 "
                    "없습니다.\n"
                    "1. [설정 > 사용자]에서 '초대 대기'를 지우고 새로 초대합니다.\n"
                    "2. 역할은 '창고'를 고르면 주문과 송장만 보이고 매출과 정산은 보이지 않습니다.\n"
                    "3. 스타터 요금제는 사용자 3명까지이며 대기 중인 초대도 한 명으로 셉니다. 더 "
                    "필요하시면 비즈니스 요금제로 변경해 주세요."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Invitation expired",
                        "My new colleague gets 'This invitation has expired' although I sent it this morning.",
                    ),
                    (
                        "How to add a user who can only see orders?",
                        "We hire {count} temps for the season. They should print labels but not see revenue.",
                    ),
                ),
                answer=(
                    "An invitation is valid for 72 hours, and sending it again cancels the earlier link.\n"
                    "1. Remove the pending invitation under Settings > Users and invite again.\n"
                    "2. Choose the role 'Warehouse': orders and labels only, no revenue.\n"
                    "3. The Starter plan has three users, and pending invitations count. Upgrade to "
                    "Business for more."
                ),
            ),
        },
    ),
    Family(
        name="owner-change",
        area="access",
        kind="Question",
        priority=2,
        tags=("account", "owner"),
        product="Ondam Admin",
        note=(
            "대표자 변경은 법무 확인 필요: 사업자등록증 대표자명 = 신청자. 다르면 위임장 요청. "
            "처리 후 감사 로그에 티켓 번호 기록."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "대표자 변경으로 소유자 계정 이전 요청",
                        (
                            "대표가 바뀌어 워크스페이스 소유자를 변경하고 싶습니다. 기존 대표는 퇴사해서 로그인할 "
                            "수 없습니다.\n"
                            "사업자번호는 그대로이고 신규 대표 연락처는 {phone} 입니다."
                        ),
                    ),
                    ("계정 소유자 변경 문의", "관리자 이메일을 {email} 로 바꾸려면 어떻게 해야 하나요?"),
                    (
                        "퇴사자 계정 이관",
                        "퇴사한 직원이 소유자로 되어 있어 결제 수단을 못 바꿉니다. 이관 절차 알려 주세요.",
                    ),
                ),
                ask="신규 대표자가 기재된 사업자등록증과 소유자 변경 신청서(첨부 양식)를 작성해 회신해 주세요.",
                reply="서류 두 가지 첨부합니다. 오늘 중으로 될까요?",
                answer=(
                    "서류 확인이 완료되어 소유자를 변경했습니다. 새 소유자의 메일로 확인 링크가 "
                    "발송되었으니 24시간 안에 눌러 주세요.\n"
                    "- 기존 소유자는 일반 관리자로 바뀌며, [설정 > 사용자]에서 삭제하실 수 있습니다.\n"
                    "- 결제 카드는 자동으로 옮겨지지 않으니 [설정 > 결제]에서 새로 등록해 주세요."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Transfer workspace ownership",
                        (
                            "Our former director is still the owner of the workspace and has left. How can "
                            "{email} become the owner?"
                        ),
                    ),
                    (
                        "Change owner email",
                        "We need to move the owner account to a new address since our domain changed.",
                    ),
                ),
                answer=(
                    "We checked the registration and moved the ownership. The new owner receives a link "
                    "that has to be confirmed within 24 hours.\n"
                    "- The previous owner is an ordinary administrator now and can be removed under "
                    "Settings > Users.\n"
                    "- The payment card is not moved; please add one under Settings > Billing."
                ),
            ),
        },
    ),
    Family(
        name="personal-data-deletion",
        area="access",
        kind="Question",
        priority=2,
        tags=("privacy", "account"),
        product="Ondam Admin",
        note=(
            "개인정보 파기 요청은 접수 후 10일 이내 처리. 전자상거래법상 거래 기록 5년 보관 "
            "대상은 분리 보관으로 안내. DPO에게 사본 전달."
        ),
        sides={
            "ko": Side(
                said=(
                    (
                        "회원 탈퇴 및 개인정보 삭제 요청",
                        (
                            "서비스를 더 이상 이용하지 않습니다. 탈퇴와 함께 제 개인정보를 모두 삭제해 주세요. "
                            "이름 {name}, 주민번호 {rrn}, 연락처 {phone} 입니다."
                        ),
                    ),
                    ("개인정보 열람 요청", "온담이 보관 중인 제 개인정보가 무엇인지 열람을 요청합니다."),
                    (
                        "탈퇴하면 데이터는 언제 지워지나요",
                        "폐업하게 되어 탈퇴하려고 합니다. 고객 주문 정보는 언제 삭제되나요?",
                    ),
                ),
                answer=(
                    "요청하신 내용을 개인정보 담당자에게 전달했고, 접수일부터 10일 이내에 처리 결과를 "
                    "알려 드립니다.\n"
                    "- 계정 정보와 연락처는 탈퇴 즉시 삭제됩니다.\n"
                    "- 주문·결제 기록은 전자상거래법에 따라 5년 동안 분리 보관한 뒤 파기합니다.\n"
                    "- 본인 확인에는 주민등록번호가 필요하지 않습니다. 보내 주신 번호는 저희 쪽에서 "
                    "삭제했습니다."
                ),
            ),
            "en": Side(
                said=(
                    (
                        "Delete my account and data",
                        "We closed our shop. Please delete the account and all personal data of {name}, phone {phone}.",
                    ),
                    (
                        "Data access request",
                        "Under privacy law I would like a copy of all personal data you hold about me.",
                    ),
                ),
                answer=(
                    "Your request went to our privacy officer, and you hear from us within ten days.\n"
                    "- Account and contact data are deleted at once.\n"
                    "- Records of orders and payments are kept apart for five years, as the Korean "
                    "e-commerce act demands, and are then destroyed."
                ),
            ),
        },
    ),
)
