"""Communication of a breach to the data subject (GDPR 34): nature in plain words, contact, consequences, measures."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """GDPR 34(2)."""

    profile = Profile(
        id="gdpr34",
        en="A personal data breach that concerns you",
        zh="涉及您的个人数据泄露通知",
        to="to_person",
        intro_en="Personal data of yours may have been looked up inside our firm without a need of the work. We are sorry. This letter says what we know.",
        intro_zh="您的个人数据可能在没有工作需要的情况下被我单位内部查询。我们深表歉意。现将已知情况告知如下。",
        fields=(
            Field(
                "controller", "GDPR 34(2)", "GDPR 第34条第2款", "Controller", "数据控制者", source="settings", of="name"
            ),
            Field(
                "nature",
                "GDPR 34(2), 33(3)(a)",
                "GDPR 第34条第2款",
                "What happened",
                "发生了什么",
                source="ledger",
                of="cause",
            ),
            Field(
                "categories",
                "GDPR 34(2)",
                "GDPR 第34条第2款",
                "Data that may be concerned",
                "可能涉及的数据",
                source="ledger",
                of="kinds_only",
            ),
            Field("span", "GDPR 34(2)", "GDPR 第34条第2款", "When", "时间", source="ledger", of="when"),
            Field(
                "dpo",
                "GDPR 33(3)(b)",
                "GDPR 第33条第3款(b)",
                "Whom to ask",
                "联络人",
                source="settings",
                of="dpo",
                contact=True,
            ),
            Field("likely_harm", "GDPR 33(3)(c)", "GDPR 第33条第3款(c)", "What may follow", "可能的后果"),
            Field(
                "measures",
                "GDPR 33(3)(d)",
                "GDPR 第33条第3款(d)",
                "What we have done",
                "我们已采取的措施",
                source="ledger",
                of="measures_short",
            ),
            Field(
                "person_measures",
                "GDPR 33(3)(d); recital 86",
                "GDPR 第33条第3款(d)",
                "What you can do",
                "您可以采取的措施",
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
