"""Report to the local postal administration (interim regulations on express delivery 34): a leak of users' information, remedies, the outlet."""

from __future__ import annotations

from watchbill.reports.base import Field, Profile, ProfileBase


class Report(ProfileBase):
    """Express regulations 34, to the postal administration of the place."""

    profile = Profile(
        id="postal",
        en="Report of a leak of express users' information",
        zh="快递用户信息泄露情况报告",
        to="postal_authority",
        intro_en="Under article 34 of the Interim Regulations on Express Delivery we report a (possible) leak of users' information and the remedies taken.",
        intro_zh="根据《快递暂行条例》第三十四条，现将我单位发生（或者可能发生）的用户信息泄露情况及补救措施报告如下。",
        fields=(
            Field(
                "processor",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Express enterprise",
                "经营快递业务的企业",
                source="settings",
                of="name",
            ),
            Field(
                "permit",
                "Express regulations 17",
                "快递暂行条例第十七条",
                "Number of the express permit",
                "快递业务经营许可证编号",
                source="settings",
                of="express_permit",
            ),
            Field(
                "outlets",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Outlets concerned",
                "涉及网点",
                source="ledger",
                of="outlets",
            ),
            Field(
                "categories",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Users' information concerned",
                "涉及的用户信息",
                source="ledger",
                of="categories",
            ),
            Field(
                "numbers",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Numbers",
                "涉及人数和数量",
                source="ledger",
                of="numbers",
            ),
            Field(
                "span",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "When",
                "事件时间",
                source="ledger",
                of="span",
            ),
            Field(
                "cause",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Cause",
                "原因",
                source="ledger",
                of="cause",
            ),
            Field("likely_harm", "Express regulations 34", "快递暂行条例第三十四条", "Likely harm", "可能造成的危害"),
            Field(
                "measures",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Remedies taken",
                "已采取的补救措施",
                source="ledger",
                of="measures",
            ),
            Field(
                "outlet_handling",
                "Express regulations 34; network data regulations 12",
                "快递暂行条例第三十四条、网络数据安全管理条例第十二条",
                "What headquarters asked of the outlet",
                "总部对加盟网点的处理和整改要求",
            ),
            Field(
                "police_told",
                "Network data regulations 11",
                "网络数据安全管理条例第十一条",
                "Whether the police were told",
                "是否已向公安机关报案",
                choices=("yes", "no", "not_yet"),
            ),
            Field(
                "contact",
                "Express regulations 34",
                "快递暂行条例第三十四条",
                "Contact",
                "联系方式",
                source="settings",
                of="contact",
                contact=True,
            ),
        ),
    )
    text_en, text_zh = profile.en, profile.zh
